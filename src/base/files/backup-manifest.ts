import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { BackupInvalidError } from "#base/errors/index.ts";

/** What a backup may hold, and nothing else: names in a manifest come from outside. */
export const backupFiles = ["candor.sqlite", "settings.json", "secret-key"] as const;
export type BackupFile = (typeof backupFiles)[number];

const manifestName = "manifest.json";

/** Larger than any manifest; more is no manifest. */
const largestManifestBytes = 1024 * 1024;

const manifestSchema = z.strictObject({
  kind: z.literal("candor-backup"),
  format: z.literal(1),
  /** Of the Candor that made it. */
  version: z.string(),
  schema: z.int().min(1),
  /** Everything that was acknowledged before this moment is in the backup; UTC. */
  startedAt: z.iso.datetime(),
  createdAt: z.iso.datetime(),
  files: z
    .array(
      z.strictObject({
        name: z.enum(backupFiles),
        bytes: z.int().min(0),
        sha256: z.string().regex(/^[0-9a-f]{64}$/),
      }),
    )
    .refine((files) => files.some(({ name }) => name === "candor.sqlite")),
  /** Rows by table. */
  counts: z.record(z.string(), z.int().min(0)),
});

/** What `manifest.json` of a backup says. */
export type BackupManifest = z.infer<typeof manifestSchema>;

/** The manifest as the file holds it: with the hash of itself, so that no part of a backup is trusted unseen. */
export function renderManifest(manifest: BackupManifest): string {
  const sha256 = hashText(JSON.stringify(manifest));
  return `${JSON.stringify({ ...manifest, sha256 }, null, 2)}\n`;
}

/** The manifest of the backup in `folder`. Raises BackupInvalidError with what is wrong. */
export async function readManifest(folder: string): Promise<BackupManifest> {
  const path = join(folder, manifestName);
  let parsed: unknown;
  try {
    if ((await lstat(path)).size > largestManifestBytes)
      throw new RangeError(`it is larger than ${largestManifestBytes} bytes`);
    parsed = JSON.parse(await readFile(path, "utf8"));
  } catch (thrown) {
    throw new BackupInvalidError(
      `${folder} is no backup of Candor: ${manifestName} cannot be read (${reasonOf(thrown)}).`,
      { cause: thrown },
    );
  }
  const { sha256, ...rest } = (typeof parsed === "object" && parsed !== null ? parsed : {}) as {
    sha256?: unknown;
  };
  const found = manifestSchema.safeParse(rest);
  if (!found.success)
    throw new BackupInvalidError(
      `${path} is not a manifest that this Candor knows: ${z.prettifyError(found.error)}`,
    );
  if (hashText(JSON.stringify(rest)) !== sha256)
    throw new BackupInvalidError(`${path} is damaged: it is not what its own hash says.`);
  return found.data;
}

function hashText(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Bytes and hash of a regular file. */
export async function measureFile(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const part of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    const content = part as Buffer;
    hash.update(content);
    bytes += content.length;
  }
  return { bytes, sha256: hash.digest("hex") };
}

/** Compares the files in `folder` with the manifest. Raises BackupInvalidError with the first that is missing or other. */
export async function checkFiles(folder: string, manifest: BackupManifest): Promise<void> {
  for (const { name, bytes, sha256 } of manifest.files) {
    const path = join(folder, name);
    const wrong = await faultOf(path, bytes, sha256);
    if (wrong !== null)
      throw new BackupInvalidError(`The backup ${folder} is damaged: ${name} ${wrong}.`);
  }
}

async function faultOf(path: string, bytes: number, sha256: string): Promise<string | null> {
  try {
    const facts = await lstat(path);
    if (!facts.isFile()) return "is not a regular file";
    if (facts.size !== bytes) return `has ${facts.size} bytes instead of ${bytes}`;
    const found = await measureFile(path);
    return found.sha256 === sha256 ? null : "is not what its hash in the manifest says";
  } catch (thrown) {
    return `cannot be read (${reasonOf(thrown)})`;
  }
}

export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
