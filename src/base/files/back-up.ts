import { constants } from "node:fs";
import { copyFile, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { copyStore, syncFolder } from "#base/database/index.ts";
import {
  DatabaseCorruptError,
  DataDirectoryUnusableError,
  DiskFullError,
} from "#base/errors/index.ts";
import { isProcessAlive } from "#base/network/index.ts";
import {
  type BackupFile,
  type BackupManifest,
  measureFile,
  renderManifest,
} from "./backup-manifest.ts";
import { refuseUnfinishedRestore } from "./restore.ts";
import { writeAtomically } from "./write-atomically.ts";

/** The beginning of a backup's name; its start in UTC follows. */
export const backupPrefix = "candor-backup-";

/** What is backed up: a data directory, with its database, which may lie elsewhere. */
export type BackupSource = {
  readonly home: string;
  readonly database: string;
  /** Of this program. */
  readonly version: string;
};

/** A finished backup. */
export type Backup = BackupManifest & {
  readonly path: string;
  readonly bytes: number;
  /** What of the data directory is not in it, though it may be needed. */
  readonly left: readonly string[];
};

/**
 * Backs a data directory up into a new folder below `folder`: the database as it was at one moment, the stored settings,
 * the generated secret key, and a manifest with their hashes. A server may run meanwhile and write; everything that it
 * acknowledged before the start is in the backup. It appears under its name whole and durable, or not at all.
 */
export async function backUp(source: BackupSource, folder: string): Promise<Backup> {
  refuseUnfinishedRestore(source.home);
  const startedAt = new Date();
  const name = `${backupPrefix}${stamp(startedAt)}`;
  const unfinished = join(folder, `.${name}.${process.pid}.unfinished`);
  const path = join(folder, name);
  /** Where the backup lies now: a failure takes it away, under its final name too. */
  let made = unfinished;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await removeLeftovers(folder);
    await mkdir(unfinished, { mode: 0o700 });
    const { schema, counts } = await copyStore(source.database, join(unfinished, "candor.sqlite"));
    const names: BackupFile[] = ["candor.sqlite"];
    for (const file of ["settings.json", "secret-key"] as const)
      if (await copyIfThere(join(source.home, file), join(unfinished, file))) names.push(file);
    const files: BackupManifest["files"] = [];
    for (const file of names)
      files.push({ name: file, ...(await measureFile(join(unfinished, file))) });
    const manifest: BackupManifest = {
      kind: "candor-backup",
      format: 1,
      version: source.version,
      schema,
      startedAt: startedAt.toISOString(),
      createdAt: new Date().toISOString(),
      files,
      counts,
    };
    await writeAtomically(join(unfinished, "manifest.json"), renderManifest(manifest));
    await rename(unfinished, path);
    made = path;
    await syncFolder(folder);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    return { ...manifest, path, bytes, left: await findLeft(source.home) };
  } catch (thrown) {
    await rm(made, { recursive: true, force: true });
    throw explain(thrown, folder);
  }
}

/** `20261121T150912123Z`: sorts by time, and is a name on every file system. */
function stamp(time: Date): string {
  return time.toISOString().replaceAll(/[-:.]/g, "");
}

/** Copies a small file durably; false when there is none. */
async function copyIfThere(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL);
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return false;
    throw thrown;
  }
  const file = await open(to, "r+");
  try {
    await file.chmod(0o600);
    await file.sync();
  } finally {
    await file.close();
  }
  return true;
}

/** Removes what backups left that died: their names hold the process that made them. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = new RegExp(`^\\.${backupPrefix}\\w+\\.(\\d+)\\.unfinished$`).exec(name)?.[1];
    if (pid !== undefined && !isProcessAlive(Number(pid)))
      await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** Configuration that people keep in the data directory themselves; it may hold secrets, so it is not copied around. */
async function findLeft(home: string): Promise<string[]> {
  return (await readdir(home)).filter((name) => name === ".env");
}

function explain(thrown: unknown, folder: string): unknown {
  if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOSPC")
    return new DiskFullError(`The disk is full: no backup was made in ${basename(folder)}.`, {
      cause: thrown,
    });
  if (thrown instanceof Error && "code" in thrown && thrown.code === "EIO")
    return new DataDirectoryUnusableError(
      `The disk failed while a backup was written to ${basename(folder)}, so none was made: ${thrown.message}`,
      {
        cause: thrown,
        nextStep: { text: "Name a folder on another disk: `candor backup FOLDER`." },
      },
    );
  if (!(thrown instanceof DatabaseCorruptError)) return thrown;
  return new DatabaseCorruptError(
    `The database is damaged, so no backup was made. ${thrown.message}`,
    {
      cause: thrown,
      nextStep: { text: "Stop Candor and restore the last good backup with `candor restore`." },
    },
  );
}
