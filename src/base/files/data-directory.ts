import { constants } from "node:fs";
import { access, mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { DataDirectoryUnusableError } from "#base/errors/index.ts";

/** The places of one data directory. */
export type DataDirectory = {
  readonly home: string;
  readonly run: string;
  readonly artifacts: string;
  readonly backups: string;
  readonly logs: string;
};

/** Opens or creates the data directory, private to this user. Raises DataDirectoryUnusableError with the reason. */
export async function openDataDirectory(home: string): Promise<DataDirectory> {
  const directory = {
    home,
    run: join(home, "run"),
    artifacts: join(home, "artifacts"),
    backups: join(home, "backups"),
    logs: join(home, "logs"),
  };
  try {
    for (const path of Object.values(directory))
      await mkdir(path, { recursive: true, mode: 0o700 });
    await access(home, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new DataDirectoryUnusableError(`The data directory ${home} cannot be used: ${reason}`, {
      cause: thrown,
      nextStep: { text: "Make it writable, or name another one with CANDOR_HOME." },
    });
  }
  const facts = await stat(home);
  if (!facts.isDirectory())
    throw new DataDirectoryUnusableError(`The data directory ${home} is not a directory.`);
  return directory;
}
