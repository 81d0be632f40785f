import { existsSync } from "node:fs";
import { constants } from "node:fs";
import {
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
} from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { checkCopy, endRuns, ownDataDirectory, syncFolder } from "#base/database/index.ts";
import {
  BackupInvalidError,
  DatabaseCorruptError,
  DataDirectoryNotEmptyError,
  DataDirectoryUnusableError,
  FileMissingError,
} from "#base/errors/index.ts";
import {
  type BackupManifest,
  backupFiles,
  checkFiles,
  readManifest,
  reasonOf,
} from "./backup-manifest.ts";
import { writeAtomically } from "./write-atomically.ts";

/** In the data directory while a restore is between its first and its last rename. */
const journalName = "restore.json";

const stagePrefix = "restoring-";
const asidePrefix = "replaced-";

type Journal = {
  /** Folder in the data directory that holds the new files. */
  readonly stage: string;
  /** Folder in the data directory that takes the old ones. */
  readonly aside: string;
  /** Names in the data directory that go aside; those with `incoming` get a new file in their place. */
  readonly entries: readonly { readonly name: string; readonly incoming: boolean }[];
};

export type RestoreOptions = {
  /** The folder that `candor backup` made, or a copy of the database from `backups/`. */
  readonly from: string;
  readonly home: string;
  /** The database file of that data directory. */
  readonly database: string;
  /** Put what is there aside. */
  readonly replace: boolean;
};

export type Restored = {
  readonly home: string;
  readonly from: string;
  readonly schema: number;
  readonly counts: Readonly<Record<string, number>>;
  /** When the backup began; null for a bare copy of the database. */
  readonly startedAt: string | null;
  readonly version: string | null;
  readonly files: readonly string[];
  /** Folder with what was there before, or null when nothing was. */
  readonly aside: string | null;
};

/**
 * Puts a backup in place of a data directory's content. Every file is checked before anything changes; then a journal is
 * written, and from there on the change is finished whatever happens, by this process or by the next that opens the
 * directory. Raises BackupInvalidError, SchemaTooNewError, DataDirectoryInUseError, DataDirectoryNotEmptyError.
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { home, replace, database } = options;
  const from = resolve(options.from);
  const manifest = await openBackup(from);
  if (dirname(database) !== home)
    throw new DataDirectoryUnusableError(
      `The database of ${home} lies outside it, at ${database}: a restore changes one folder in one step.`,
      {
        nextStep: {
          text: "Restore into a directory of its own with --to, then name its candor.sqlite with DATABASE_URL.",
        },
      },
    );
  await mkdir(join(home, "run"), { recursive: true, mode: 0o700 });
  const owner = ownDataDirectory(join(home, "run"));
  try {
    await finish(home);
    await removeStages(home);
    const entries = planEntries(database.slice(home.length + 1), manifest);
    const there = entries.filter(({ name }) => existsSync(join(home, name)));
    if (there.length > 0 && !replace)
      throw new DataDirectoryNotEmptyError(
        `${home} already holds ${there.map(({ name }) => name).join(", ")}. Add --replace to put that aside, or name another directory with --to.`,
      );
    const time = new Date().toISOString().replaceAll(/[-:.]/g, "");
    const journal = { stage: `${stagePrefix}${time}`, aside: `${asidePrefix}${time}`, entries };
    const facts = await stage(from, manifest, join(home, journal.stage), database);
    await writeAtomically(join(home, journalName), JSON.stringify(journal));
    await finish(home);
    return {
      home,
      from,
      ...facts,
      startedAt: manifest?.startedAt ?? null,
      version: manifest?.version ?? null,
      files: entries.filter(({ incoming }) => incoming).map(({ name }) => name),
      aside: there.length > 0 ? join(home, journal.aside) : null,
    };
  } finally {
    owner.release();
  }
}

/** The manifest of a backup; null for a bare database file. */
async function openBackup(from: string): Promise<BackupManifest | null> {
  try {
    if ((await stat(from)).isDirectory()) return await readManifest(from);
    return null;
  } catch (thrown) {
    if (thrown instanceof BackupInvalidError) throw thrown;
    throw new FileMissingError(`There is no backup at ${from} (${reasonOf(thrown)}).`, {
      cause: thrown,
    });
  }
}

/**
 * What changes in a data directory. The log and the mark belong to the old database and go before it. A bare copy of the
 * database leaves settings and key as they are: it was made beside them.
 */
function planEntries(database: string, manifest: BackupManifest | null): Journal["entries"] {
  const old = ["-wal", "-shm", "-mark"].map((end) => ({ name: database + end, incoming: false }));
  const entries = [...old, { name: database, incoming: true }];
  if (manifest === null) return entries;
  const has = new Set(manifest.files.map(({ name }) => name));
  for (const name of backupFiles)
    if (name !== "candor.sqlite") entries.push({ name, incoming: has.has(name) });
  return entries;
}

/** Copies the backup beside its place and checks the copies: what was checked is what is used. */
async function stage(
  from: string,
  manifest: BackupManifest | null,
  folder: string,
  database: string,
): Promise<{ schema: number; counts: Readonly<Record<string, number>> }> {
  try {
    await mkdir(folder, { mode: 0o700 });
    const names = manifest?.files.map(({ name }) => name) ?? ["candor.sqlite"];
    for (const name of names)
      await copySynced(manifest === null ? from : join(from, name), join(folder, name), from);
    if (manifest !== null) await checkFiles(folder, manifest);
    const copy = join(folder, "candor.sqlite");
    const facts = checkCopy(copy);
    endRuns(copy, Date.parse(manifest?.createdAt ?? "") || Date.now());
    const name = database.slice(dirname(database).length + 1);
    if (name !== "candor.sqlite") await rename(copy, join(folder, name));
    await syncFolder(folder);
    return facts;
  } catch (thrown) {
    await rm(folder, { recursive: true, force: true });
    if (!(thrown instanceof DatabaseCorruptError || thrown instanceof BackupInvalidError))
      throw thrown;
    const message = thrown.message.replaceAll(folder, from);
    throw new BackupInvalidError(message, { cause: thrown });
  }
}

async function copySynced(from: string, to: string, backup: string): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE);
  } catch (thrown) {
    if (!(thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT")) throw thrown;
    throw new BackupInvalidError(`The backup ${backup} is incomplete: ${from} is missing.`, {
      cause: thrown,
    });
  }
  const file = await open(to, "r+");
  try {
    await file.chmod(0o600);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Copies that never came to their journal: the data directory is as it was before them. */
async function removeStages(home: string): Promise<void> {
  for (const name of await readdir(home))
    if (name.startsWith(stagePrefix)) await rm(join(home, name), { recursive: true, force: true });
}

/** Whether a restore of this data directory was interrupted after its point of no return. */
function isUnfinished(home: string): boolean {
  return existsSync(join(home, journalName));
}

/** Refuses to work on a data directory that is half one and half another. */
export function refuseUnfinishedRestore(home: string): void {
  if (!isUnfinished(home)) return;
  throw new DataDirectoryUnusableError(
    `A restore of ${home} was interrupted and is not finished yet.`,
    {
      nextStep: {
        text: "Start `candor serve`, or any other command: it finishes the restore first.",
      },
    },
  );
}

/**
 * Finishes a restore that was interrupted, before anything of the data directory is read; what one left that never came
 * so far is removed. True when what lies there is other than before.
 * Raises DataDirectoryInUseError while another process is at it.
 */
export async function finishRestore(home: string): Promise<boolean> {
  const names = existsSync(home) ? await readdir(home) : [];
  if (!names.some((name) => name === journalName || name.startsWith(stagePrefix))) return false;
  const owner = ownDataDirectory(join(home, "run"));
  try {
    const isFinished = await finish(home);
    await removeStages(home);
    return isFinished;
  } finally {
    owner.release();
  }
}

/**
 * Does what the journal says. Each step may have been done already: an old file is moved only while its new one waits,
 * and new ones come in only when all old ones lie durably aside.
 */
async function finish(home: string): Promise<boolean> {
  if (!isUnfinished(home)) return false;
  const path = join(home, journalName);
  const journal = JSON.parse(await readFile(path, "utf8")) as Journal;
  const stageFolder = join(home, journal.stage);
  const aside = join(home, journal.aside);
  const waiting = journal.entries.filter(
    ({ name, incoming }) => !incoming || existsSync(join(stageFolder, name)),
  );
  await mkdir(aside, { recursive: true, mode: 0o700 });
  for (const { name } of waiting)
    if (existsSync(join(home, name)) && !existsSync(join(aside, name)))
      await rename(join(home, name), join(aside, name));
  await syncFolder(aside);
  await syncFolder(home);
  for (const { name, incoming } of waiting)
    if (incoming) await rename(join(stageFolder, name), join(home, name));
  await syncFolder(home);
  await rm(path);
  await syncFolder(home);
  await rm(stageFolder, { recursive: true, force: true });
  if ((await readdir(aside)).length === 0) await rmdir(aside);
  return true;
}
