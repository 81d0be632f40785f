import { statSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import { Kysely, sql } from "kysely";
import {
  CandorError,
  DatabaseUnavailableError,
  DiskFullError,
  RuntimeTooOldError,
} from "#base/errors/index.ts";
import type { DamagedIndexes, Database, DatabaseFault, Scope, WriteHandle } from "./database.ts";
import { findRuntimeFault } from "./check-runtime.ts";
import { checkStore, judgeFailure, lookAtStore, type StoreFinding } from "./check-store.ts";
import { toDatabaseError } from "./driver-errors.ts";
import { createGroupCommit } from "./group-commit.ts";
import { type AnsweredRequest, currentRequest } from "./answered-request.ts";
import { migrate } from "./migrate.ts";
import { copyDatabase, openConnection } from "./sqlite-connection.ts";
import { noStatements, sqliteDialect, type StatementFigures } from "./sqlite-dialect.ts";
import { sqliteMigrations } from "./sqlite-migrations.ts";
import { sqliteWords } from "./sqlite-words.ts";
import { markPath, sumPages, writeMark } from "./store-mark.ts";
import type { OwnedTables, Tables } from "./tables.ts";

export type OpenOptions = {
  /** The database file; its folder must exist. */
  path: string;
  /** Folder for the copy that is made before an existing file is migrated. */
  backups: string;
  onFault: DatabaseFault;
};

/** Opens or creates the SQLite store: migrates it forward after a backup copy, refuses one that is newer than this program. */
export async function openSqlite({ path, backups, onFault }: OpenOptions): Promise<Database> {
  refuseUnsoundRuntime();
  const { writer, found } = await openWriter(path, backups);
  const reader = openConnection(path, true);
  const indexes = watchIndexes(found.damagedIndexes, writer);
  const onFailure = (thrown: unknown, statement: string) => {
    const damage = judgeFailure(reader, thrown, statement);
    if (damage.kind === "index") indexes.report(damage.table);
    if (damage.kind !== "store" || group.readOnlyReason() !== null) return;
    const error = toDatabaseError(thrown);
    group.refuse(error.message);
    onFault(error);
  };
  const group = createGroupCommit(writer, onFault, onFailure);
  const statements = { write: noStatements(), read: noStatements() };
  const open = (connection: DatabaseSync, figures: StatementFigures) =>
    new Kysely<Tables>({ dialect: sqliteDialect(connection, onFailure, figures) });
  const [writes, reads] = [open(writer, statements.write), open(reader, statements.read)];
  const schemaVersion = sqliteMigrations.length;
  const version = String(reader.prepare("select sqlite_version() as version").get()?.["version"]);

  return {
    engine: "sqlite",
    read: reads as unknown as Database["read"],
    unscoped: reads,
    as: (scope) => ({ scope, select: (table) => scopedSelect(reads, table, scope) }),
    write: async (work) => {
      const request = currentRequest();
      // Whether the answer was kept is known after COMMIT: work that was undone is run again with its answer.
      const attempt = { kept: false };
      const value = await group.submit(() => {
        attempt.kept = false;
        return work(writeHandle(writes, request, attempt));
      });
      if (request && attempt.kept) request.stored = true;
      return value;
    },
    maintain: (work) =>
      group.submitLong(() => work(writeHandle(writes, undefined, { kept: false }))),
    found,
    indexes,
    words: sqliteWords(reader),
    statistics: () => ({ ...group.statistics(), statements, ...sizesOf(path) }),
    health: () => {
      const reason = group.readOnlyReason();
      return { state: reason === null ? "ok" : "read_only", reason, version, schemaVersion };
    },
    backup: (target) => copyDatabase(reader, target),
    close: async () => {
      await group.idle();
      if (reader.isOpen) reader.close();
      // Closing the last connection copies the write-ahead log into the file. On a disk that failed an fsync, or where
      // damage was found, nothing more is written: the log stays as it is, for the next start to judge.
      if (group.readOnlyReason() === null && writer.isOpen)
        await closeWriter(writer, path, onFault);
    },
  };
}

function refuseUnsoundRuntime(): void {
  const { node, sqlite = "unknown" } = process.versions;
  const unsound = findRuntimeFault({ node, sqlite });
  if (unsound === null) return;
  throw new RuntimeTooOldError(unsound, {
    nextStep: { text: "Run Candor with Node 24.15 or newer; `npm install` brings one along." },
  });
}

/** Bytes of the database and of its write-ahead log; null for what is not there. */
function sizesOf(path: string): { fileBytes: number | null; logBytes: number | null } {
  const size = (name: string) => statSync(name, { throwIfNoEntry: false })?.size ?? null;
  return { fileBytes: size(path), logBytes: size(`${path}-wal`) };
}

function watchIndexes(found: readonly string[], writer: DatabaseSync): DamagedIndexes {
  const damaged = new Set(found);
  const listeners: ((table: string) => void)[] = [];
  return {
    isDamaged: (table) => damaged.has(table),
    all: () => [...damaged],
    report: (table) => {
      if (damaged.has(table)) return;
      damaged.add(table);
      for (const listener of listeners) listener(table);
    },
    makeDroppable: (table) => makeDroppable(writer, table),
    mended: (table) => void damaged.delete(table),
    onDamage: (listener) => void listeners.push(listener),
  };
}

/** The connection that writes, over a file that was judged, marked as open and brought up to date. */
async function openWriter(
  path: string,
  backups: string,
): Promise<{ writer: DatabaseSync; found: StoreFinding }> {
  const left = await lookAtStore(path).catch((thrown: unknown) => {
    throw thrown instanceof CandorError ? thrown : toMarkError(thrown, path);
  });
  const writer = openConnection(path, false);
  try {
    const found = checkStore(writer, path, left);
    if (found.lastStop !== "first") await markOpen(path);
    await migrate(writer, backups);
    // A new database has its mark once there is something to lose.
    if (found.lastStop === "first") await markOpen(path);
    return { writer, found };
  } catch (thrown) {
    writer.close();
    throw thrown;
  }
}

function makeDroppable(writer: DatabaseSync, table: string): void {
  const isThere = writer.prepare("select 1 from sqlite_master where name = ?").get(table);
  if (isThere === undefined) return;
  writer.enableDefensive(false);
  try {
    writer.exec(`create table if not exists "${table}_config" (k primary key, v) without rowid;
      insert or replace into "${table}_config" values ('version', 4)`);
  } finally {
    writer.enableDefensive(true);
  }
}

async function markOpen(path: string): Promise<void> {
  try {
    await writeMark(path, { state: "open" });
  } catch (thrown) {
    throw toMarkError(thrown, path);
  }
}

function toMarkError(thrown: unknown, path: string): CandorError {
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  const message = `The mark ${markPath(path)} of the database cannot be read or written: ${reason}.`;
  return reason.startsWith("ENOSPC")
    ? new DiskFullError(message, { cause: thrown })
    : new DatabaseUnavailableError(message, { cause: thrown });
}

/** Closes the last connection and leaves the checksums of the pages for the next start, unless somebody else reads them. */
async function closeWriter(
  writer: DatabaseSync,
  path: string,
  onFault: DatabaseFault,
): Promise<void> {
  let log: Record<string, unknown> | undefined;
  try {
    [log] = writer.prepare("pragma wal_checkpoint(truncate)").all();
  } catch (thrown) {
    // All of it is still in the log, and the mark still says open: the next start goes on from there.
    onFault(toDatabaseError(thrown, writer));
    writer.close();
    return;
  }
  writer.close();
  try {
    const pages = log?.["busy"] === 0 ? await sumPages(path) : null;
    await writeMark(path, { state: "closed", pages });
  } catch (thrown) {
    // The mark still says open: the next start looks at the whole structure.
    onFault(toMarkError(thrown, path));
  }
}

function writeHandle(
  tables: Kysely<Tables>,
  request: AnsweredRequest | undefined,
  attempt: { kept: boolean },
): WriteHandle {
  return {
    tables,
    answer: async (value) => {
      if (request && !request.stored && !attempt.kept) {
        await request.keep(tables, value);
        attempt.kept = true;
      }
      return value;
    },
  };
}

/** `table` with the predicate of `scope`: rows of readable collections outside the trash, jobs of the principal itself. */
function scopedSelect<Name extends keyof OwnedTables>(
  reads: Kysely<Tables>,
  table: Name,
  scope: Scope,
) {
  const query = reads.selectFrom(table as keyof OwnedTables);
  if (table === "jobs")
    return (
      scope.read === "all" ? query : query.where(sql<boolean>`jobs.owner = ${scope.principal}`)
    ) as never;
  const collection = sql.ref(table === "collections" ? "collections.id" : `${table}.collection_id`);
  const there = query.where(
    table === "collections"
      ? sql<boolean>`collections.trash_id is null`
      : sql<boolean>`${collection} in (select id from collections where trash_id is null)`,
  );
  if (scope.read === "all") return there as never;
  const readable = JSON.stringify(scope.read);
  return there.where(
    sql<boolean>`${collection} in (select value from json_each(${readable}))`,
  ) as never;
}
