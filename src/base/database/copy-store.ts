import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { DatabaseCorruptError, FileMissingError, SchemaTooNewError } from "#base/errors/index.ts";
import { readStructure } from "./check-store.ts";
import { toDatabaseError } from "./driver-errors.ts";
import { schemaOf } from "./migrate.ts";
import { copyDatabase, openConnection, openCopy } from "./sqlite-connection.ts";
import { sqliteMigrations } from "./sqlite-migrations.ts";

/** What a copy of the database holds. */
export type CopyFacts = {
  readonly schema: number;
  /** Rows by table, without the keyword tables. */
  readonly counts: Readonly<Record<string, number>>;
};

/**
 * Copies the database at `path` to `target` from a connection of its own, so that a server that has it goes on
 * undisturbed, and checks the copy. Raises FileMissingError, DatabaseCorruptError when the copy is not sound.
 */
export async function copyStore(path: string, target: string): Promise<CopyFacts> {
  if (!existsSync(path)) throw new FileMissingError(`There is no database at ${path}.`);
  // Not read-only, though nothing is written: such a connection would leave its log and its index of it behind, in the
  // name of whoever backs up.
  const connection = openConnection(path, false);
  try {
    await copyDatabase(connection, target);
  } finally {
    connection.close();
  }
  return checkCopy(target);
}

/**
 * Reads a copy through: its structure, its references, and that this program knows its schema. Damage to keyword tables
 * alone does not spoil it: they are made again. Raises DatabaseCorruptError, SchemaTooNewError.
 */
export function checkCopy(path: string): CopyFacts {
  const copy = openCopy(path);
  try {
    const schema = schemaOf(copy);
    const known = sqliteMigrations.length;
    if (schema > known)
      throw new SchemaTooNewError(
        `${path} has schema ${schema}; this Candor knows up to ${known}. Restore it with the Candor that made it, or a newer one.`,
        { details: { found: schema, known } },
      );
    const { store } = readStructure(copy);
    const [orphan] = copy.prepare("pragma foreign_key_check").all();
    if (orphan !== undefined)
      store.push(`a row of ${String(orphan["table"])} refers to one that is not there`);
    if (schema === 0) store.push("it has no schema of Candor");
    if (store.length > 0)
      throw new DatabaseCorruptError(`${path} is damaged: ${store.slice(0, 3).join("; ")}.`);
    return { schema, counts: countRows(copy) };
  } catch (thrown) {
    throw toDatabaseError(thrown);
  } finally {
    copy.close();
  }
}

/** What is wrong with a database that may be in use, read through by a connection of its own. */
export type Damages = {
  /** Of the truth: one line each, none when it is sound. */
  readonly faults: readonly string[];
  /** Keyword tables, which are made again. */
  readonly damagedIndexes: readonly string[];
};

/** Reads the whole structure of a database and all its references, however long that takes. */
export function readThrough(path: string): Damages {
  const connection = openConnection(path, true);
  try {
    const { store, indexes } = readStructure(connection);
    const orphans = store.length > 0 ? [] : connection.prepare("pragma foreign_key_check").all();
    for (const orphan of orphans.slice(0, 10))
      store.push(`a row of ${String(orphan["table"])} refers to one that is not there`);
    return { faults: store, damagedIndexes: indexes };
  } catch (thrown) {
    throw toDatabaseError(thrown);
  } finally {
    connection.close();
  }
}

function countRows(copy: DatabaseSync): Record<string, number> {
  const tables = copy
    .prepare(
      "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' and name not like 'words_%' order by name",
    )
    .all()
    .map(({ name }) => String(name));
  return Object.fromEntries(
    tables.map((table) => [
      table,
      Number(copy.prepare(`select count(*) as n from "${table}"`).get()?.["n"]),
    ]),
  );
}

/** Ends the runs that were going on when a copy was made: they did not die, and the next start shall not say so. */
export function endRuns(path: string, at: number): void {
  const copy = new DatabaseSync(path);
  try {
    copy.prepare("update runs set ended_at = ? where ended_at is null").run(at);
  } catch (thrown) {
    throw toDatabaseError(thrown);
  } finally {
    copy.close();
  }
}
