import { stat } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { findPackage } from "#base/config/index.ts";
import { type CandorError, DatabaseCorruptError, SchemaTooNewError } from "#base/errors/index.ts";
import { isCorruption, isKeywordCorruption, resultCode, toDatabaseError } from "./driver-errors.ts";
import { schemaOf } from "./migrate.ts";
import { findLogFault } from "./read-log.ts";
import { sqliteMigrations } from "./sqlite-migrations.ts";
import {
  findChangedPages,
  largestSummedBytes,
  isMissing,
  markPath,
  readMark,
  type StoreMark,
} from "./store-mark.ts";

/** What opening the store found. */
export type StoreFinding = {
  /** How the last process that had it ended; `first` when there was none. */
  readonly lastStop: "first" | "clean" | "unclean";
  /** How much of the file was looked at beyond its header and its schema. */
  readonly checked: "checksums" | "structure" | "schema";
  /** Keyword tables that are not what they were: derived, so they are made again. */
  readonly damagedIndexes: readonly string[];
  /** Worth an entry in the ledger, and no reason to refuse. */
  readonly remarks: readonly string[];
};

/** The file as it lies there, before SQLite opens it. */
export type LeftStore = {
  readonly mark: StoreMark | null;
  /** Pages that are not what the last process left; null when it left no checksums. */
  /** Too large to be read through at every start. */
  readonly isLarge: boolean;
  readonly changed: { readonly pages: readonly number[]; readonly touched: boolean } | null;
};

/**
 * Looks at the file before SQLite does, which would make an empty database where a lost one was. Raises
 * DatabaseCorruptError when it is missing or empty and was not.
 */
export async function lookAtStore(path: string): Promise<LeftStore> {
  const mark = await readMark(path);
  const bytes = await sizeOf(path);
  const logBytes = await sizeOf(`${path}-wal`);
  if (bytes === 0 && (mark !== null || logBytes > 0))
    throw new DatabaseCorruptError(
      `The database file ${path} is missing or empty, and this data directory has had one.`,
      {
        nextStep: {
          text: `Restore a backup. To begin with an empty database instead, delete ${markPath(path)}${logBytes > 0 ? ` and ${path}-wal` : ""}.`,
        },
      },
    );
  const logFault = logBytes > 0 ? await findLogFault(`${path}-wal`) : null;
  if (logFault !== null)
    throw new DatabaseCorruptError(
      `The log of the database, ${path}-wal, is damaged: ${logFault}.`,
      {
        nextStep: {
          text: `Restore a backup. To go on with what was written before the damage instead, delete ${path}-wal.`,
        },
      },
    );
  // A clean stop leaves no log: one that is there belongs to somebody who wrote after it.
  const pages = mark?.state === "closed" && logBytes === 0 ? mark.pages : null;
  return {
    mark,
    isLarge: bytes > largestSummedBytes,
    changed: pages === null ? null : await findChangedPages(path, pages),
  };
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (thrown) {
    if (isMissing(thrown)) return 0;
    throw thrown;
  }
}

/**
 * Judges an opened store before anything is written to it. Raises SchemaTooNewError and DatabaseCorruptError; damage to
 * keyword tables alone is in the finding. After a clean stop the checksums of its pages are compared; after an unclean
 * one, and where there are no checksums to compare, SQLite's own check of the structure runs.
 */
export function checkStore(connection: DatabaseSync, path: string, left: LeftStore): StoreFinding {
  try {
    const schema = schemaOf(connection);
    if (schema > sqliteMigrations.length) throw tooNew(connection, path, schema);
    if (schema === 0) return checkEmpty(connection, path, left);
    checkSchema(connection, path, schema);
    return checkPages(connection, path, left);
  } catch (thrown) {
    const error = toDatabaseError(thrown);
    if (!isCorruption(thrown)) throw error;
    throw new DatabaseCorruptError(`The database file ${path} is damaged: ${error.message}`, {
      cause: thrown,
    });
  }
}

/** A database without a schema number is a new one, or somebody else's, which the first migration refuses. */
function checkEmpty(connection: DatabaseSync, path: string, { mark }: LeftStore): StoreFinding {
  const table = connection.prepare("select name from sqlite_master limit 1").get();
  if (mark !== null && table !== undefined)
    throw new DatabaseCorruptError(
      `The database file ${path} is damaged: it has tables and no schema number.`,
    );
  return { lastStop: "first", checked: "schema", damagedIndexes: [], remarks: [] };
}

function tooNew(connection: DatabaseSync, path: string, found: number): CandorError {
  const known = sqliteMigrations.length;
  const { version } = findPackage();
  const writer = lastVersion(connection);
  const by = writer === null ? "" : `, last written by Candor ${writer}`;
  return new SchemaTooNewError(
    `The database ${path} has schema ${found}${by}; this is Candor ${version}, which knows up to ${known}. Use that Candor or a newer one; a database is never downgraded.`,
    { details: { found, known, writer, version } },
  );
}

/** The version of the last run, where a schema that we do not know still says it. */
function lastVersion(connection: DatabaseSync): string | null {
  const has = connection
    .prepare(
      "select count(*) as n from pragma_table_info('runs') where name in ('version', 'started_at')",
    )
    .get()?.["n"];
  if (has !== 2) return null;
  const row = connection.prepare("select version from runs order by started_at desc").get();
  return row === undefined ? null : String(row["version"]);
}

function checkPages(connection: DatabaseSync, path: string, left: LeftStore): StoreFinding {
  const { mark, changed } = left;
  const remarks =
    mark?.state === "unreadable" ? [`${markPath(path)} was damaged; nothing rests on it.`] : [];
  if (changed?.pages.length === 0)
    return { lastStop: "clean", checked: "checksums", damagedIndexes: [], remarks };
  const isClean = mark === null ? endedCleanly(connection) : mark.state === "closed";
  if (isClean && changed === null && left.isLarge)
    return { lastStop: "clean", checked: "schema", damagedIndexes: [], remarks };
  const { store, indexes } = readStructure(connection);
  if (store.length > 0)
    throw new DatabaseCorruptError(
      `The database file ${path} is damaged: ${store.slice(0, 3).join("; ")}`,
      { details: { faults: store } },
    );
  const lastStop = isClean ? "clean" : "unclean";
  if (changed === null) return { lastStop, checked: "structure", damagedIndexes: indexes, remarks };
  const owners = ownersOf(connection, changed.pages);
  const found = new Set(indexes);
  const others: string[] = [];
  for (const owner of owners) {
    const table = keywordTableOf(owner);
    if (table === null) others.push(owner);
    else found.add(table);
  }
  if (others.length > 0) {
    const what = `${changed.pages.length} pages of the database file ${path} are not what Candor left there at its last stop, among them some of ${others.slice(0, 5).join(", ")}`;
    if (!changed.touched)
      throw new DatabaseCorruptError(`${what}, and nothing has written to the file since.`);
    remarks.push(`${what}: another program wrote to the file. Its structure is sound.`);
  }
  return { lastStop, checked: "structure", damagedIndexes: [...found], remarks };
}

/** Whether every run of a database without a mark has its end: the first release wrote no marks. */
function endedCleanly(connection: DatabaseSync): boolean {
  return connection.prepare("select 1 from runs where ended_at is null").get() === undefined;
}

/** Tables, columns and indexes must be those that the migrations make. */
function checkSchema(connection: DatabaseSync, path: string, schema: number): void {
  const wanted = new DatabaseSync(":memory:");
  try {
    for (const { statements } of sqliteMigrations.slice(0, schema))
      for (const statement of statements) wanted.exec(statement);
    const has = new Set(describeSchema(connection));
    const missing = describeSchema(wanted).filter((part) => !has.has(part));
    if (missing.length > 0)
      throw new DatabaseCorruptError(
        `The database file ${path} is damaged: of schema ${schema} it lacks ${missing.slice(0, 5).join(", ")}.`,
      );
  } finally {
    wanted.close();
  }
}

function describeSchema(connection: DatabaseSync): string[] {
  return connection
    .prepare(
      `select 'the ' || type || ' ' || name as part from sqlite_master where name not like 'sqlite_%'
       union all select 'the column ' || m.name || '.' || c.name from sqlite_master m, pragma_table_xinfo(m.name) c
       where m.type = 'table' and m.name not like 'sqlite_%' and m.sql not like 'create virtual%' and m.name not like 'words_%'`,
    )
    .all()
    .map(({ part }) => String(part));
}

/** What SQLite's own check says, apart for the truth and for keyword tables. */
export type Structure = { readonly store: string[]; readonly indexes: readonly string[] };

/**
 * SQLite's own check of its structure, also of a copy. Measured on a database of 200 MB whose pages were in memory:
 * 320 ms; the quick check, which does not compare indexes with their tables, took 260 ms.
 */
export function readStructure(connection: DatabaseSync): Structure {
  const store: string[] = [];
  const indexes = new Set<string>();
  for (const line of runCheck(connection, "pragma integrity_check")) {
    if (line === "ok") continue;
    const table = keywordTableOf(line);
    // Some faults of a keyword table do not say of which.
    const tables = table === null && /\bfts5\b/.test(line) ? findBroken(connection) : [table];
    for (const each of tables.length === 0 ? [null] : tables)
      if (each === null) store.push(line);
      else indexes.add(each);
  }
  return { store, indexes: [...indexes] };
}

/** Keyword tables that cannot even be opened. */
function findBroken(connection: DatabaseSync): string[] {
  return connection
    .prepare(
      "select name from sqlite_master where sql like 'create virtual table%' and name like 'words_%'",
    )
    .all()
    .map(({ name }) => String(name))
    .filter((name) =>
      runCheck(connection, `select 'ok' from "${name}" limit 1`)[0]?.includes("fts5"),
    );
}

/** Lines of a check; an error that keeps it from running is one. */
function runCheck(connection: DatabaseSync, statement: string): string[] {
  try {
    return connection
      .prepare(statement)
      .all()
      .map((row) => String(Object.values(row)[0]));
  } catch (thrown) {
    if (resultCode(thrown) === null) throw thrown;
    return [thrown instanceof Error ? thrown.message : String(thrown)];
  }
}

/** The keyword table that `text` names, itself or by one of its parts. */
function keywordTableOf(text: string): string | null {
  return /\bwords_[a-z]+_[0-9a-z]+/i.exec(text)?.[0].toLowerCase() ?? null;
}

/** Tables and indexes that own some of these pages. Free pages have no owner, and hold nothing. */
function ownersOf(connection: DatabaseSync, pages: readonly number[]): string[] {
  return connection
    .prepare(
      "select distinct name from dbstat where pageno in (select value from json_each(?)) order by name",
    )
    .all(JSON.stringify(pages))
    .map(({ name }) => String(name));
}

/** What a failed statement says about the store: nothing, that a keyword table is damaged, or that the truth is. */
export type Damage =
  | { readonly kind: "none" | "store" }
  | { readonly kind: "index"; readonly table: string };

/**
 * Judges the error of a statement. SQLite gives the same code for a damaged keyword table as for a damaged database:
 * where a keyword table was asked, its own check of the structure tells them apart.
 */
export function judgeFailure(connection: DatabaseSync, thrown: unknown, statement: string): Damage {
  const message = thrown instanceof Error ? thrown.message : "";
  const table = keywordTableOf(statement) ?? keywordTableOf(message);
  const isGone = /^(?:no such table|vtable constructor failed): (?:main\.)?words_/.test(message);
  if (table !== null && (isGone || isKeywordCorruption(thrown))) return { kind: "index", table };
  if (!isCorruption(thrown)) return { kind: "none" };
  if (table === null || readStructure(connection).store.length > 0) return { kind: "store" };
  return { kind: "index", table };
}
