import { constants, type Dirent } from "node:fs";
import { lstat, open, readdir, readFile, realpath, type FileHandle } from "node:fs/promises";
import { isUtf8 } from "node:buffer";
import { join, relative, sep } from "node:path";
import {
  CancelledError,
  type CandorError,
  DocumentTooLargeError,
  FileChangedError,
  FileMissingError,
  FileUnreadableError,
  InputInvalidError,
  PathRefusedError,
  toCandorError,
} from "#base/errors/index.ts";
import { largestDocumentBytes } from "./document-limit.ts";
import {
  createKeyFilter,
  ignoreFileNames,
  parseIgnoreFile,
  skipReason,
  type IgnoreRules,
  type KeyFilter,
} from "./skip-rules.ts";

/** Longest key of a document, in characters. */
const longestKey = 512;

/** Largest ignore file that is read, in bytes. */
const largestIgnoreFile = 1_000_000;

/** Tagged by tools in folders that can be made again (bford.info/cachedir). */
const cacheTag = "CACHEDIR.TAG";

/** Lies in every Python virtual environment. */
const virtualEnvironment = "pyvenv.cfg";

export type WalkOptions = {
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly signal?: AbortSignal;
};

export type WalkEntry =
  | {
      readonly kind: "file";
      /** Path below the root, with `/`. */
      readonly key: string;
      readonly path: string;
      readonly bytes: number;
      readonly modifiedMs: number;
    }
  | { readonly kind: "skipped"; readonly key: string; readonly reason: string }
  | {
      readonly kind: "failed";
      readonly key: string;
      readonly error: CandorError;
      /** A folder that could not be read: nothing is known about what lies below `key`. */
      readonly directory: boolean;
    };

type Folder = {
  readonly key: string;
  readonly path: string;
  readonly entries: readonly Dirent<Buffer>[];
  next: number;
  readonly ignoreFiles: readonly IgnoreRules[];
};

type Walk = { readonly root: string; readonly filter: KeyFilter };

/**
 * The files below a folder that can be indexed, and what is left out with its reason; an ignored folder is one entry.
 * Names come in the order of their bytes, links are not followed, one folder's names are held at a time per level.
 * @throws FileMissingError, FileUnreadableError (the root itself), InputInvalidError (root or glob), CancelledError.
 */
export async function* walkFolder(
  root: string,
  options: WalkOptions = {},
): AsyncGenerator<WalkEntry> {
  const filter = createKeyFilter(options.include, options.exclude);
  const walk: Walk = { root: await realRoot(root), filter };
  const first = await openFolder(walk, "", []);
  if ("kind" in first) {
    throw first.kind === "failed" ? first.error : unreadable(root, "it is no folder to index");
  }
  const stack: Folder[] = [first];
  for (let folder = stack.at(-1); folder !== undefined; folder = stack.at(-1)) {
    if (options.signal?.aborted === true) {
      throw new CancelledError(`The walk over ${root} was cancelled.`, {
        cause: options.signal.reason,
      });
    }
    const entry = folder.entries[folder.next];
    folder.next += 1;
    if (entry === undefined) {
      stack.pop();
      continue;
    }
    const found = await visit(walk, folder, entry);
    if (found === null) continue;
    if ("kind" in found) yield found;
    else stack.push(found);
  }
}

async function realRoot(root: string): Promise<string> {
  try {
    const path = await realpath(root);
    const status = await lstat(path);
    if (status.isDirectory()) return path;
  } catch (thrown) {
    throw fileError(thrown, root);
  }
  throw new InputInvalidError(`${root} is not a folder. Name a folder to index.`, {
    errors: [{ pointer: "/path", message: "must be a folder" }],
  });
}

/** What is to be said about one name of a folder; the opened folder where the walk goes on below it. */
async function visit(
  walk: Walk,
  folder: Folder,
  entry: Dirent<Buffer>,
): Promise<WalkEntry | Folder | null> {
  const name = entry.name.toString();
  const key = folder.key === "" ? name : `${folder.key}/${name}`;
  const nameFault = faultOfName(entry.name, name, key);
  if (nameFault !== null) return { kind: "skipped", key: shownKey(key), reason: nameFault };
  const path = join(folder.path, name);
  try {
    const status = await lstat(path);
    if (status.isSymbolicLink()) {
      return { kind: "skipped", key, reason: await linkReason(walk.root, path) };
    }
    const isFolder = status.isDirectory();
    if (!isFolder && !status.isFile()) {
      return { kind: "skipped", key, reason: "not a regular file" };
    }
    const reason =
      skipReason(key, isFolder, folder.ignoreFiles) ??
      (isFolder ? walk.filter.folder(key) : walk.filter.file(key));
    if (reason !== null) return { kind: "skipped", key, reason };
    if (isFolder) return await openFolder(walk, key, folder.ignoreFiles);
    if (status.size === 0) return { kind: "skipped", key, reason: "empty" };
    if (status.size > largestDocumentBytes) {
      return { kind: "skipped", key, reason: `larger than ${largestDocumentBytes / 1_000_000} MB` };
    }
    return { kind: "file", key, path, bytes: status.size, modifiedMs: Math.floor(status.mtimeMs) };
  } catch (thrown) {
    const error = fileError(thrown, path);
    return { kind: "failed", key, error, directory: entry.isDirectory() };
  }
}

function faultOfName(bytes: Buffer, name: string, key: string): string | null {
  if (!isUtf8(bytes)) return "name is not UTF-8";
  if (/[\p{Cc}\u2028\u2029]/u.test(name)) return "name has control characters";
  if (key.length > longestKey) return `path longer than ${longestKey} characters`;
  return null;
}

/** A key that can be shown and stored whatever the name holds. */
function shownKey(key: string): string {
  const shown = key.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return shown.length <= longestKey ? shown : `${shown.slice(0, longestKey - 1)}…`.toWellFormed();
}

async function linkReason(root: string, path: string): Promise<string> {
  try {
    return isInside(root, await realpath(path)) ? "link" : "link out of the folder";
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === "ENOENT" || code === "ELOOP" || code === "ENOTDIR") return "broken link";
    throw thrown;
  }
}

/** The names of a folder, in the order of their bytes, with the ignore files that hold for them; a failure is an entry. */
async function openFolder(
  walk: Walk,
  key: string,
  above: readonly IgnoreRules[],
): Promise<Folder | Exclude<WalkEntry, { kind: "file" }>> {
  const path = key === "" ? walk.root : join(walk.root, ...key.split("/"));
  try {
    const entries = await readdir(path, { withFileTypes: true, encoding: "buffer" });
    if ((await realpath(path)) !== path) {
      const error = new PathRefusedError(`${path} became a link while the folder was walked.`);
      return { kind: "failed", key, error, directory: true };
    }
    const names = new Map(entries.map((entry) => [entry.name.toString("latin1"), entry]));
    if (key !== "" && names.has(cacheTag)) return { kind: "skipped", key, reason: "cache folder" };
    if (key !== "" && names.has(virtualEnvironment)) {
      return { kind: "skipped", key, reason: "dependency folder" };
    }
    const ignoreFiles = [...above];
    for (const name of ignoreFileNames) {
      if (names.get(name)?.isFile() === true)
        ignoreFiles.push(await readIgnoreFile(path, key, name));
    }
    entries.sort((one, other) => Buffer.compare(one.name, other.name));
    return { key, path, entries, next: 0, ignoreFiles };
  } catch (thrown) {
    return { kind: "failed", key, error: fileError(thrown, path), directory: true };
  }
}

async function readIgnoreFile(path: string, key: string, name: string): Promise<IgnoreRules> {
  const file = join(path, name);
  const { size } = await lstat(file);
  if (size > largestIgnoreFile) {
    throw unreadable(file, `an ignore file of more than ${largestIgnoreFile} bytes`);
  }
  return parseIgnoreFile(key, name, await readFile(file, "utf8"));
}

/**
 * The bytes of the file `key` below `root`, read without following a link and only if it stayed as it was meanwhile.
 * @throws PathRefusedError (leaves the root, or a link), FileMissingError, FileUnreadableError (also for what is no
 * regular file), DocumentTooLargeError, FileChangedError (try again).
 */
export async function readFileSafely(
  root: string,
  key: string,
): Promise<{ bytes: Uint8Array; modifiedMs: number }> {
  const names = key.split("/");
  if (key.includes("\0") || names.some((name) => name === "" || name === "." || name === "..")) {
    throw new PathRefusedError(`${JSON.stringify(key)} is not a path below the folder.`);
  }
  const folder = await realRoot(root);
  const path = join(folder, ...names);
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  let file: FileHandle;
  try {
    file = await open(path, flags); // a FIFO without a writer opens at once
  } catch (thrown) {
    throw fileError(thrown, path);
  }
  try {
    return await readUnchanged(file, folder, path);
  } catch (thrown) {
    throw fileError(thrown, path);
  } finally {
    await file.close();
  }
}

async function readUnchanged(
  file: FileHandle,
  root: string,
  path: string,
): Promise<{ bytes: Uint8Array; modifiedMs: number }> {
  const before = await file.stat();
  if (!before.isFile()) throw unreadable(path, "not a regular file");
  if ((await realpath(path)) !== path || !isInside(root, path)) {
    throw new PathRefusedError(`${path} is reached through a link.`);
  }
  const named = await lstat(path);
  if (named.ino !== before.ino || named.dev !== before.dev) throw changed(path);
  const bytes = await readAtMost(file, before.size, path);
  const after = await file.stat();
  if (
    bytes.length !== before.size ||
    after.size !== before.size ||
    after.mtimeMs !== before.mtimeMs
  ) {
    throw changed(path);
  }
  return { bytes, modifiedMs: Math.floor(before.mtimeMs) };
}

/** All bytes of the file: up to one more than `size`, by which growth is seen. */
async function readAtMost(file: FileHandle, size: number, path: string): Promise<Uint8Array> {
  if (size > largestDocumentBytes) {
    throw new DocumentTooLargeError(
      `${path} has ${size} bytes; at most ${largestDocumentBytes} are read. Split it.`,
      { details: { bytes: size, limit: largestDocumentBytes } },
    );
  }
  const buffer = new Uint8Array(size + 1);
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

function isInside(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !way.startsWith(sep);
}

function changed(path: string): CandorError {
  return new FileChangedError(`${path} changed while it was read. Try again.`);
}

function unreadable(path: string, reason: string): CandorError {
  return new FileUnreadableError(`${path} cannot be read: ${reason}.`);
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
}

/** The catalogue error of a failed file operation; catalogue errors and defects stay what they are. */
function fileError(thrown: unknown, path: string): CandorError {
  const code = codeOf(thrown);
  const options = { cause: thrown };
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new FileMissingError(`${path} does not exist.`, options);
  }
  if (code === "ELOOP" || code === "EMLINK") {
    return new PathRefusedError(`${path} is a link; links are not followed.`, options);
  }
  if (/^E[A-Z]+$/.test(code))
    return new FileUnreadableError(`${path} cannot be read: ${code}.`, options);
  return toCandorError(thrown);
}
