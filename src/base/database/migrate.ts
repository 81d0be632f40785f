import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { MigrationFailedError } from "#base/errors/index.ts";
import { resultCode, toDatabaseError } from "./driver-errors.ts";
import { copyDatabase } from "./sqlite-connection.ts";
import { sqliteMigrations } from "./sqlite-migrations.ts";

/** The schema of a connection's database: how many migrations it has seen. */
export function schemaOf(connection: DatabaseSync): number {
  return Number(connection.prepare("pragma user_version").get()?.["user_version"]);
}

/**
 * Brings the database forward, each step in a transaction with its number. A copy of an existing one goes to `backups`
 * first, so that the program that wrote it can have it back.
 */
export async function migrate(connection: DatabaseSync, backups: string): Promise<void> {
  const current = schemaOf(connection);
  const newest = sqliteMigrations.length;
  if (current >= newest) return;
  if (connection.prepare("select name from sqlite_master limit 1").get() !== undefined)
    await copyDatabase(connection, join(backups, `before-schema-${newest}-${Date.now()}.sqlite`));
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
