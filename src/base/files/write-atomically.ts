import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { DataDirectoryUnusableError, DiskFullError, toCandorError } from "#base/errors/index.ts";
import { diskSpace } from "./disk-space.ts";

/**
 * Writes `content` to `path` so that a reader, and a crash at any moment, sees the old file or the whole new one:
 * temporary name, fsync, rename, fsync of the folder. The file is private to this user. Raises DiskFullError,
 * DataDirectoryUnusableError, or OverloadedError when too many files are open; the old file then stands (only after a failed
 * fsync of the folder it may be either).
 */
export async function writeAtomically(path: string, content: string | Uint8Array): Promise<void> {
  const unfinished = `${path}.${randomUUID()}.unfinished`;
  try {
    const file = await open(unfinished, "wx", 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
    if (process.platform !== "win32") await syncFolder(dirname(path));
  } catch (thrown) {
    await rm(unfinished, { force: true });
    throw await unwritten(path, Buffer.byteLength(content), thrown);
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function unwritten(path: string, neededBytes: number, thrown: unknown): Promise<Error> {
  const error = toCandorError(thrown);
  if (error.code === "disk_full") {
    const { freeBytes } = await diskSpace(dirname(path));
    return new DiskFullError(
      `The disk is full: ${path} needs ${neededBytes} bytes, ${freeBytes} are free.`,
      { cause: thrown, details: { neededBytes, freeBytes }, retryAfterMs: 5000 },
    );
  }
  if (error.code !== "defect") return error;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new DataDirectoryUnusableError(`${path} could not be written: ${reason}`, {
    cause: thrown,
    nextStep: { text: "Check the disk, and that this user may write there." },
  });
}
