import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { DatabaseUnavailableError } from "#base/errors/index.ts";
import { toDatabaseError } from "./driver-errors.ts";
import { syncFolder } from "./store-mark.ts";

/** How long one connection waits for another's lock; only other programs can hold one. */
const lockTimeoutMs = 5000;

/** More pages than any database has: the copy is one step, so that no other connection's write starts it again. */
const allPages = 2 ** 30;

/** A connection with everything set that durability and safety rest on. */
export function openConnection(path: string, readOnly: boolean): DatabaseSync {
  try {
    const connection = new DatabaseSync(path, {
      timeout: lockTimeoutMs,
      readOnly,
      enableForeignKeyConstraints: true,
      allowExtension: false,
    });
    connection.enableDefensive(true);
    connection.exec("pragma trusted_schema = off");
    if (!readOnly) connection.exec("pragma journal_mode = wal; pragma synchronous = full");
    return connection;
  } catch (thrown) {
    const error = toDatabaseError(thrown);
    if (error.code !== "database_unavailable") throw error;
    throw new DatabaseUnavailableError(
      `The database file ${path} cannot be opened: ${reasonOf(thrown)}.`,
      {
        cause: thrown,
        nextStep: { text: "Check that its folder exists and that this user may write to both." },
      },
    );
  }
}

/** A connection to a copy that nobody writes to: no lock is taken and no file is made beside it. */
export function openCopy(path: string): DatabaseSync {
  const address = pathToFileURL(path);
  address.searchParams.set("immutable", "1");
  try {
    const copy = new DatabaseSync(address, { readOnly: true, allowExtension: false });
    copy.enableDefensive(true);
    copy.exec("pragma trusted_schema = off");
    return copy;
  } catch (thrown) {
    throw toDatabaseError(thrown);
  }
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/**
 * A consistent copy of the database as one file, made in a thread while others read and write: it holds everything that
 * was committed before it began. It appears at `target` whole and durable, or not at all.
 */
export async function copyDatabase(connection: DatabaseSync, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  const unfinished = `${target}.unfinished`;
  try {
    await rm(unfinished, { force: true });
    await backup(connection, unfinished, { rate: allPages });
    // A copy has no log beside it: it is to be one file that any program can read.
    const copy = new DatabaseSync(unfinished);
    try {
      copy.exec("pragma journal_mode = delete");
    } finally {
      copy.close();
    }
    const file = await open(unfinished, "r+");
    try {
      await file.chmod(0o600);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, target);
    await syncFolder(dirname(target));
  } catch (thrown) {
    await rm(unfinished, { force: true });
    throw toDatabaseError(thrown);
  }
}

/** What a database file is made of, in bytes of its pages; each index counts to its table. */
export type StoreSizes = {
  readonly freeBytes: number;
  readonly tables: readonly { readonly table: string; readonly bytes: number }[];
  /** The numbers that the given queries found, by their names. */
  readonly found: Readonly<Record<string, number>>;
};

/**
 * Reads every page of a database once, over a connection of its own that is open no longer than that. It takes seconds
 * for a large one and holds up its thread: for worker threads only. `queries` each find one number.
 */
export function measureStore(path: string, queries: Readonly<Record<string, string>>): StoreSizes {
  const connection = openConnection(path, true);
  try {
    const one = (query: string) => Number(Object.values(connection.prepare(query).get() ?? {})[0]);
    const rows = connection
      .prepare(
        `select coalesce(sqlite_schema.tbl_name, dbstat.name) as name, sum(dbstat.pgsize) as bytes
         from dbstat left join sqlite_schema on sqlite_schema.name = dbstat.name
         where dbstat.aggregate = true group by 1`,
      )
      .all();
    return {
      freeBytes: one("pragma freelist_count") * one("pragma page_size"),
      tables: rows.map(({ name, bytes }) => ({ table: String(name), bytes: Number(bytes) })),
      found: Object.fromEntries(Object.entries(queries).map(([name, query]) => [name, one(query)])),
    };
  } catch (thrown) {
    throw toDatabaseError(thrown);
  } finally {
    connection.close();
  }
}
