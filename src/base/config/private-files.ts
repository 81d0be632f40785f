import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { DataDirectoryUnusableError, DiskFullError } from "#base/errors/index.ts";

/**
 * Puts `content` at `path` whole or not at all, readable by this user alone: temporary name, fsync, then `publish`, fsync of the folder.
 * Synchronous, so that two changes in one process never overlap.
 */
function writeWhole(
  path: string,
  content: string,
  publish: (from: string, to: string) => void,
): void {
  const folder = dirname(path);
  const unfinished = `${path}.${randomBytes(8).toString("hex")}.unfinished`;
  let begun = false;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    begun = true;
    writeFileSync(unfinished, content, { mode: 0o600, flag: "wx", flush: true });
    publish(unfinished, path);
    if (process.platform !== "win32") syncFolder(folder);
  } catch (thrown) {
    if (begun && codeOf(thrown) === "ENOSPC")
      throw diskFull(path, Buffer.byteLength(content), thrown);
    throw unusable(`${path} could not be written`, thrown);
  } finally {
    if (begun) rmSync(unfinished, { force: true });
  }
}

/** Replaces the stored settings. Raises DiskFullError or DataDirectoryUnusableError; the old file then stands (only after a failed fsync of the folder it may be either). */
export function writeStoredSettings(path: string, values: Readonly<Record<string, unknown>>): void {
  writeWhole(path, `${JSON.stringify(values, null, 2)}\n`, renameSync);
}

/** The generated secret key of a data directory, made on first use. `exposed`: other users may read its file. */
export function readOrMakeSecret(home: string): { secret: string; exposed: boolean } {
  const path = join(home, "secret-key");
  const found = readSecret(path);
  if (found !== null) return found;
  // A link, unlike a rename, fails when another process was first: then its key counts.
  writeWhole(path, `${randomBytes(32).toString("hex")}\n`, (from, to) => {
    try {
      linkSync(from, to);
    } catch (thrown) {
      if (codeOf(thrown) !== "EEXIST") throw thrown;
    }
  });
  const made = readSecret(path);
  if (made === null) throw new DataDirectoryUnusableError(`${path} vanished after it was written.`);
  return made;
}

function readSecret(path: string): { secret: string; exposed: boolean } | null {
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT") return null;
    throw unusable(`${path} cannot be read`, thrown);
  }
  const secret = content.trim();
  if (!/^[0-9a-f]{64}$/.test(secret))
    throw new DataDirectoryUnusableError(
      `${path} does not hold the 64 hexadecimal digits that were generated.`,
      {
        nextStep: {
          text: "Delete the file to have a new key made (everybody signs in again), or set SECRET_KEY.",
        },
      },
    );
  return { secret, exposed: process.platform !== "win32" && (statSync(path).mode & 0o077) !== 0 };
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function diskFull(path: string, neededBytes: number, cause: unknown): Error {
  const { bavail, bsize } = statfsSync(dirname(path));
  const freeBytes = bavail * bsize;
  return new DiskFullError(
    `The disk is full: ${path} needs ${neededBytes} bytes, ${freeBytes} are free.`,
    { cause, details: { neededBytes, freeBytes }, retryAfterMs: 5000 },
  );
}

function unusable(what: string, thrown: unknown): Error {
  if (codeOf(thrown) === "ENOSPC")
    return new DiskFullError(`The disk is full: ${what}.`, { cause: thrown });
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new DataDirectoryUnusableError(`${what}: ${reason}`, {
    cause: thrown,
    nextStep: { text: "Make the data directory writable, or name another one with CANDOR_HOME." },
  });
}

function codeOf(thrown: unknown): unknown {
  return thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
}
