import type { CliCommand } from "./command.ts";
import { print } from "./operation-command.ts";
import { ask } from "./send.ts";
import { showSafely } from "./terminal.ts";

/**
 * `candor migrate`: brings the database up to date, which every start does; this does it before one, with the error where
 * people look. A running server has done it.
 */
export const migrateCommand: CliCommand = {
  words: ["migrate"],
  summary: "Bring the database up to date, with a copy of it in `backups/` first",
  parameters: [],
  kind: "process",
  operation: null,
  run: async (context) => {
    const health = await ask(context, "system.health", {});
    const checks = health["checks"] as readonly { name: string; state: string; detail: string }[];
    const database = checks.find(({ name }) => name === "database");
    if (database === undefined) throw new TypeError("health has no check of the database");
    const isWell = database.state === "ok";
    const detail = showSafely(database.detail);
    print(context, { database }, () =>
      isWell ? `the database is up to date: ${detail}` : `the database is not well: ${detail}`,
    );
    return isWell ? "ok" : "failed";
  },
};
