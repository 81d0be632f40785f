import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { DiskFullError } from "#base/errors/index.ts";

/**
 * Writes `content` to `path` so that a reader, and a crash at any moment, sees the old file or the whole new one:
 * temporary name, fsync, rename, fsync of the folder. The file is private to this user.
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
  } catch (thrown) {
    await rm(unfinished, { force: true });
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOSPC")
      throw new DiskFullError(`The disk is full: ${path} could not be written.`, { cause: thrown });
    throw thrown;
  }
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
