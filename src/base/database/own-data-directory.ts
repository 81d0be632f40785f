import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { DataDirectoryInUseError, DataDirectoryUnusableError } from "#base/errors/index.ts";
import { resultCode } from "./driver-errors.ts";

/**
 * Makes this process the owner of a data directory until `release` or its end, however it ends: the lock is an open
 * exclusive transaction of a small SQLite file, which the kernel drops with the process. `run` must exist.
 * Raises DataDirectoryInUseError while another process owns it.
 */
export function ownDataDirectory(run: string): { release(): void } {
  const path = join(run, "owner.sqlite");
  let connection: DatabaseSync | undefined;
  try {
    connection = new DatabaseSync(path, { timeout: 0 });
    connection.exec("begin exclusive");
  } catch (thrown) {
    connection?.close();
    const family = (resultCode(thrown) ?? 0) & 0xff;
    if (family === 5 || family === 6)
      throw new DataDirectoryInUseError(`Another process owns the data directory of ${run}.`);
    throw new DataDirectoryUnusableError(
      `The data directory cannot be locked: ${path}: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      { cause: thrown },
    );
  }
  const held = connection;
  return {
    release: () => {
      if (!held.isOpen) return;
      held.exec("rollback");
      held.close();
    },
  };
}
