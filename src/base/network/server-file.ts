import { randomUUID } from "node:crypto";
import { open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import {
  DataDirectoryUnusableError,
  DiskFullError,
  FormatInvalidError,
} from "#base/errors/index.ts";

const serverFileSchema = z.object({
  /** `http://127.0.0.1:7340`, without a slash at the end. */
  url: z.url(),
  pid: z.int().min(1),
  /** The secret of the principal `local`, new at every start. */
  key: z.string().min(1),
  /** Fingerprints (SHA-256) of the certificates that the server may show; absent where it speaks plain HTTP. */
  pins: z.array(z.string().min(1)).min(1).optional(),
  version: z.string().min(1),
  /** ISO 8601, UTC. */
  startedAt: z.iso.datetime(),
});

/** How to reach the process that owns a data directory. */
export type ServerFile = z.output<typeof serverFileSchema>;

/** Where the process that owns a data directory says how to reach it. */
function placeOf(runFolder: string): string {
  return join(runFolder, "server.json");
}

/**
 * Says how to reach this process: a file that only this user can read, whole or not there at any moment.
 * Raises DiskFullError or DataDirectoryUnusableError.
 */
export async function writeServerFile(runFolder: string, server: ServerFile): Promise<void> {
  const path = placeOf(runFolder);
  const unfinished = `${path}.${randomUUID()}.unfinished`;
  try {
    const file = await open(unfinished, "wx", 0o600);
    try {
      await file.writeFile(`${JSON.stringify(serverFileSchema.parse(server), null, 2)}\n`);
      // Without it a power failure could leave an empty file under the final name.
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
  } catch (thrown) {
    await rm(unfinished, { force: true });
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    const isFull = thrown instanceof Error && "code" in thrown && thrown.code === "ENOSPC";
    const Failure = isFull ? DiskFullError : DataDirectoryUnusableError;
    throw new Failure(`${path} could not be written: ${reason}`, { cause: thrown });
  }
}

/**
 * How to reach the process that owns the data directory, or null when none says so. The process may have died since
 * (`isProcessAlive`). Raises FormatInvalidError for a file that no Candor wrote.
 */
export async function readServerFile(runFolder: string): Promise<ServerFile | null> {
  const path = placeOf(runFolder);
  let content: string;
  try {
    content = await readFile(path, "utf8");
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : null;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw new DataDirectoryUnusableError(`${path} cannot be read: ${String(thrown)}`, {
      cause: thrown,
    });
  }
  const parsed = serverFileSchema.safeParse(parseJson(content, path));
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw malformed(path, faults.join("; "));
}

/** Removes the file when it is this process's own: `key` names whose it is. Another one's stays. */
export async function removeServerFile(runFolder: string, key: string): Promise<void> {
  const found = await readServerFile(runFolder);
  if (found?.key === key) await rm(placeOf(runFolder), { force: true });
}

/** Whether a process of this id runs, whoever owns it. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : null;
    if (code === "EPERM") return true; // it is there, and another user's
    if (code === "ESRCH") return false;
    throw thrown;
  }
}

function parseJson(content: string, path: string): unknown {
  try {
    return JSON.parse(content);
  } catch (thrown) {
    throw malformed(path, thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function malformed(path: string, reason: string): Error {
  return new FormatInvalidError(`${path} is not what Candor writes there: ${reason}`, {
    nextStep: { text: "Delete the file and start again; a running Candor writes it at its start." },
  });
}
