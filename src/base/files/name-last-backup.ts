import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { checkCopy } from "#base/database/index.ts";
import { CandorError, DatabaseCorruptError, SchemaTooNewError } from "#base/errors/index.ts";
import { backupPrefix } from "./back-up.ts";
import { checkFiles, readManifest } from "./backup-manifest.ts";

/** A backup or a copy of the database in a folder. */
type Candidate = { readonly path: string; readonly madeAt: number; readonly isFolder: boolean };

/**
 * The error of a database that cannot be opened, with the newest backup in `folder` that this program could restore: it
 * is read through before it is named. Other errors pass unchanged.
 */
export async function nameLastBackup(thrown: unknown, folder: string): Promise<unknown> {
  if (!(thrown instanceof DatabaseCorruptError || thrown instanceof SchemaTooNewError))
    return thrown;
  const found = await findSound(folder);
  const nextStep = {
    text:
      found === null
        ? `No sound backup lies in ${folder}. Restore one that is kept elsewhere: candor restore <backup> --replace`
        : `The last sound backup is of ${new Date(found.madeAt).toISOString()}: candor restore ${found.path} --replace. What is there now is put aside, not deleted.`,
  };
  const options = {
    cause: thrown,
    nextStep,
    details: { ...thrown.details, backup: found?.path ?? null },
  };
  const message = `${thrown.message} ${thrown.nextStep?.text ?? ""}`.trim();
  return thrown instanceof DatabaseCorruptError
    ? new DatabaseCorruptError(message, options)
    : new SchemaTooNewError(message, options);
}

async function findSound(folder: string): Promise<Candidate | null> {
  for (const candidate of await listBackups(folder)) if (await isSound(candidate)) return candidate;
  return null;
}

/** Newest first. */
async function listBackups(folder: string): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (const name of await readdir(folder)) {
    const madeAt = timeOf(name);
    if (madeAt !== null)
      found.push({ path: join(folder, name), isFolder: name.startsWith(backupPrefix), madeAt });
  }
  return found.toSorted((one, other) => other.madeAt - one.madeAt);
}

/** When a backup of this name was made, in milliseconds; null for other names. */
function timeOf(name: string): number | null {
  const copied = /^before-schema-\d+-(\d{13})\.sqlite$/.exec(name)?.[1];
  if (copied !== undefined) return Number(copied);
  const parts = /^candor-backup-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z$/.exec(name);
  if (parts === null) return null;
  const [year = 0, month = 0, day = 0, ...rest] = parts.slice(1).map(Number);
  return Date.UTC(year, month - 1, day, ...rest);
}

/** Whether it could be restored by this program. */
async function isSound({ path, isFolder }: Candidate): Promise<boolean> {
  try {
    if (isFolder) await checkFiles(path, await readManifest(path));
    checkCopy(isFolder ? join(path, "candor.sqlite") : path);
    return true;
  } catch (thrown) {
    if (thrown instanceof CandorError) return false;
    throw thrown;
  }
}
