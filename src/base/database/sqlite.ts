import { mkdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { Kysely, sql } from "kysely";
import {
  DatabaseUnavailableError,
  MigrationFailedError,
  RuntimeTooOldError,
  SchemaTooNewError,
} from "#base/errors/index.ts";
import type { Database, DatabaseFault, Scope, WriteHandle } from "./database.ts";
import { findRuntimeFault } from "./check-runtime.ts";
import { resultCode, toDatabaseError } from "./driver-errors.ts";
import { createGroupCommit } from "./group-commit.ts";
import {
  currentIdempotentRequest,
  idempotencyKeptMs,
  type IdempotentRequest,
} from "./idempotency.ts";
import { sqliteDialect } from "./sqlite-dialect.ts";
import { sqliteMigrations } from "./sqlite-migrations.ts";
import { sqliteWords } from "./sqlite-words.ts";
import type { OwnedTables, Tables } from "./tables.ts";

/** How long one connection waits for another's lock; only other programs can hold one. */
const lockTimeoutMs = 5000;

export type OpenOptions = {
  /** The database file; its folder must exist. */
  path: string;
  /** Folder for the copy that is made before an existing file is migrated. */
  backups: string;
  onFault: DatabaseFault;
};

/** Opens or creates the SQLite store: migrates it forward after a backup copy, refuses one that is newer than this program. */
export async function openSqlite({ path, backups, onFault }: OpenOptions): Promise<Database> {
  const { node, sqlite: engine = "unknown" } = process.versions;
  const unsound = findRuntimeFault({ node, sqlite: engine });
  if (unsound !== null)
    throw new RuntimeTooOldError(unsound, {
      nextStep: { text: "Run Candor with Node 24.15 or newer; `npm install` brings one along." },
    });
  const writer = openConnection(path, false);
  try {
    await migrate(writer, path, backups);
  } catch (thrown) {
    writer.close();
    throw thrown;
  }
  const reader = openConnection(path, true);
  const group = createGroupCommit(writer, onFault);
  const writes = new Kysely<Tables>({ dialect: sqliteDialect(writer) });
  const reads = new Kysely<Tables>({ dialect: sqliteDialect(reader) });
  const schemaVersion = sqliteMigrations.length;
  const version = String(reader.prepare("select sqlite_version() as version").get()?.["version"]);

  return {
    engine: "sqlite",
    read: reads as unknown as Database["read"],
    unscoped: reads,
    as: (scope) => ({ scope, select: (table) => scopedSelect(reads, table, scope) }),
    write: async (work) => {
      const request = currentIdempotentRequest();
      // Whether the answer was kept is known after COMMIT: work that was undone is run again with its answer.
      const attempt = { kept: false };
      const value = await group.submit(() => {
        attempt.kept = false;
        return work(writeHandle(writes, request, attempt));
      });
      if (request && attempt.kept) request.stored = true;
      return value;
    },
    words: sqliteWords(reader),
    health: () => {
      const reason = group.readOnlyReason();
      return { state: reason === null ? "ok" : "read_only", reason, version, schemaVersion };
    },
    backup: (target) => copyTo(reader, target),
    close: async () => {
      await group.idle();
      if (reader.isOpen) reader.close();
      // Closing the last connection copies the write-ahead log into the file. On a disk that failed an fsync nothing more
      // is written: the log stays as it is, for the next start to judge.
      if (group.readOnlyReason() === null && writer.isOpen) writer.close();
    },
  };
}

function writeHandle(
  tables: Kysely<Tables>,
  request: IdempotentRequest | undefined,
  attempt: { kept: boolean },
): WriteHandle {
  return {
    tables,
    answer: async (value) => {
      if (request && !request.stored && !attempt.kept) {
        const now = Date.now();
        await tables
          .deleteFrom("idempotency")
          .where("created_at", "<=", now - idempotencyKeptMs)
          .execute();
        await tables
          .insertInto("idempotency")
          .values({
            principal_id: request.principal,
            operation: request.operation,
            key: request.key,
            input_hash: request.inputHash,
            answer: JSON.stringify(request.keep(value)),
            created_at: now,
          })
          .execute();
        attempt.kept = true;
      }
      return value;
    },
  };
}

/** `table` with the predicate of `scope`: rows of readable collections, jobs of the principal itself. */
function scopedSelect<Name extends keyof OwnedTables>(
  reads: Kysely<Tables>,
  table: Name,
  scope: Scope,
) {
  const query = reads.selectFrom(table as keyof OwnedTables);
  if (scope.read === "all") return query as never;
  const readable = JSON.stringify(scope.read);
  const predicate =
    table === "jobs"
      ? sql<boolean>`jobs.owner = ${scope.principal}`
      : sql<boolean>`${sql.ref(table === "collections" ? "collections.id" : `${table}.collection_id`)} in (select value from json_each(${readable}))`;
  return query.where(predicate) as never;
}

function openConnection(path: string, readOnly: boolean): DatabaseSync {
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

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

async function migrate(connection: DatabaseSync, path: string, backups: string): Promise<void> {
  const current = Number(connection.prepare("pragma user_version").get()?.["user_version"]);
  const newest = sqliteMigrations.length;
  if (current > newest)
    throw new SchemaTooNewError(
      `The database ${path} has schema ${current}; this Candor knows up to ${newest}. Use a newer Candor; it is never downgraded.`,
      { details: { found: current, known: newest } },
    );
  if (current === newest) return;
  if (connection.prepare("select name from sqlite_master limit 1").get() !== undefined)
    await copyTo(connection, join(backups, `before-schema-${newest}-${Date.now()}.sqlite`));
  for (const [index, migration] of sqliteMigrations.entries()) {
    if (index < current) continue;
    try {
      connection.exec("begin immediate");
      for (const statement of migration.statements) connection.exec(statement);
      connection.exec(`pragma user_version = ${index + 1}`);
      connection.exec("commit");
    } catch (thrown) {
      if (connection.isTransaction) connection.exec("rollback");
      if (resultCode(thrown) === null) throw thrown;
      throw new MigrationFailedError(
        `Migration ${index + 1} (${migration.name}) failed; the database is as it was before it.`,
        { cause: toDatabaseError(thrown) },
      );
    }
  }
}

async function copyTo(connection: DatabaseSync, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  const unfinished = `${target}.unfinished`;
  try {
    await backup(connection, unfinished);
  } catch (thrown) {
    throw toDatabaseError(thrown);
  }
  await rename(unfinished, target);
}
