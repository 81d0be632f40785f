import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import {
  type CandorError,
  CandorError as AnyCandorError,
  DatabaseBusyError,
  DatabaseCorruptError,
  DatabaseIntegrityError,
  DatabaseQueryError,
  DatabaseReadOnlyError,
  DatabaseUnavailableError,
  AlreadyExistsError,
  DiskFullError,
} from "#base/errors/index.ts";

/** Result codes of SQLite (https://sqlite.org/rescode.html); the low byte is the family. */
const code = {
  busy: 5,
  locked: 6,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  constraint: 19,
  notADatabase: 26,
  corruptVirtualTable: 267,
  primaryKey: 1555,
  unique: 2067,
} as const;

/** SQLite's extended result code of a thrown driver error, or null when it is something else. */
export function resultCode(thrown: unknown): number | null {
  if (!(thrown instanceof Error) || !("errcode" in thrown)) return null;
  return typeof thrown.errcode === "number" ? thrown.errcode : null;
}

/** Whether the error means that durability itself is in doubt: such a store takes no more writes. */
export function isDurabilityFault(thrown: unknown): boolean {
  const result = resultCode(thrown);
  return result !== null && (result & 0xff) === code.ioError;
}

/** Whether SQLite found the file, or a virtual table in it, to be damaged. */
export function isCorruption(thrown: unknown): boolean {
  const result = resultCode(thrown);
  const family = result === null ? null : result & 0xff;
  return family === code.corrupt || family === code.notADatabase;
}

/** Whether it is a virtual table, which keyword tables are, that found its own content damaged. */
export function isKeywordCorruption(thrown: unknown): boolean {
  return resultCode(thrown) === code.corruptVirtualTable;
}

/**
 * A driver error as one of the database family; catalogue errors pass unchanged. For a full disk, `connection` says which
 * disk that is.
 */
export function toDatabaseError(thrown: unknown, connection?: DatabaseSync): CandorError {
  if (thrown instanceof AnyCandorError) return thrown;
  const result = resultCode(thrown);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (result === null) return new DatabaseQueryError(message, { cause: thrown });
  const options = { cause: thrown, details: { resultCode: result } };
  if (result === code.primaryKey || result === code.unique)
    return new AlreadyExistsError(`Already there: ${message}`, options);
  switch (result & 0xff) {
    case code.full:
      return diskFull(message, options, connection);
    case code.busy:
    case code.locked:
      return new DatabaseBusyError(`The database is locked: ${message}`, {
        ...options,
        retryAfterMs: 1000,
      });
    case code.readOnly:
      return new DatabaseReadOnlyError(`The database cannot be written: ${message}`, options);
    case code.corrupt:
    case code.notADatabase:
      return new DatabaseCorruptError(`The database file is damaged: ${message}`, options);
    case code.ioError:
    case code.cannotOpen:
      return new DatabaseUnavailableError(`The database does not answer: ${message}`, options);
    case code.constraint:
      return new DatabaseIntegrityError(`The change breaks a rule: ${message}`, options);
    default:
      return new DatabaseQueryError(message, options);
  }
}

/** Bytes before the content of a page in the write-ahead log (https://sqlite.org/fileformat2.html, section 4.1). */
const frameHeaderBytes = 24;

function diskFull(
  message: string,
  options: { cause: unknown; details: Readonly<Record<string, unknown>> },
  connection: DatabaseSync | undefined,
): CandorError {
  const path = connection?.isOpen === true ? connection.location() : null;
  if (!connection || path === null)
    return new DiskFullError(`The disk is full: ${message}`, { ...options, retryAfterMs: 5000 });
  const { bavail, bsize } = statfsSync(dirname(path));
  const freeBytes = bavail * bsize;
  // SQLite does not say how much it wanted: the smallest write adds one page to the log.
  const page = Number(connection.prepare("pragma page_size").get()?.["page_size"]);
  const neededBytes = Math.max(page + frameHeaderBytes, freeBytes + 1);
  return new DiskFullError(
    `The disk is full: at least ${neededBytes} bytes are needed, ${freeBytes} are free (${message}).`,
    { ...options, details: { ...options.details, neededBytes, freeBytes }, retryAfterMs: 5000 },
  );
}
