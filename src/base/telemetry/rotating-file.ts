import {
  closeSync,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

/** How often it is checked that the open file is still the one at its path, in milliseconds. */
const checkIntervalMs = 1000;

/** No setting keeps more old files than this: higher numbers are left over from nothing of ours. */
const mostFilesKept = 20;

export type RotatingFile = {
  /** Appends `text` before it returns. Raises the file system's error; then nothing or a part of `text` is in the file. */
  write(text: string): void;
  close(): void;
};

/**
 * An append-only file that never grows beyond `maximumBytes` (unless one text alone is longer): when the next text would not fit, the
 * file becomes `path.1`, `path.1` becomes `path.2` and so on, and beyond `kept` they are deleted. All are private to this user.
 * A file that someone else moved or deleted is noticed within a second and begun anew.
 */
export function createRotatingFile(options: {
  readonly path: string;
  readonly maximumBytes: number;
  readonly kept: number;
}): RotatingFile {
  const { path, maximumBytes, kept } = options;
  let open: OpenFile | null = null;
  // A text that failed half-way left a torn line: the next one begins on a new line.
  let torn = false;

  const close = () => {
    if (open === null) return;
    const { descriptor } = open;
    open = null;
    closeSync(descriptor);
  };
  const write = (text: string) => {
    if (open !== null && isReplaced(open, path)) close();
    const bytes = Buffer.from(torn ? `\n${text}` : text);
    let file = (open ??= openAppending(path));
    if (file.size > 0 && file.size + bytes.length > maximumBytes) {
      close();
      shift(path, kept);
      file = open = openAppending(path);
    }
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(file.descriptor, bytes, written);
      torn = false;
    } finally {
      if (written > 0 && written < bytes.length) torn = true;
      file.size += written;
    }
  };
  return { write, close };
}

type OpenFile = {
  descriptor: number;
  size: number;
  inode: bigint;
  device: bigint;
  checkedAt: number;
};

function openAppending(path: string): OpenFile {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const descriptor = openSync(path, "a", 0o600);
  try {
    fchmodSync(descriptor, 0o600);
    const { size, ino, dev } = fstatSync(descriptor, { bigint: true });
    return {
      descriptor,
      size: Number(size),
      inode: ino,
      device: dev,
      checkedAt: performance.now(),
    };
  } catch (thrown) {
    closeSync(descriptor);
    throw thrown;
  }
}

function isReplaced(file: OpenFile, path: string): boolean {
  const now = performance.now();
  if (now - file.checkedAt < checkIntervalMs) return false;
  file.checkedAt = now;
  const there = statSync(path, { bigint: true, throwIfNoEntry: false });
  return there?.ino !== file.inode || there.dev !== file.device;
}

/** Makes room at `path`: every old file moves up by one, those beyond `kept` go. */
function shift(path: string, kept: number): void {
  for (let number = kept; number <= mostFilesKept; number += 1)
    rmSync(`${path}.${number}`, { force: true });
  for (let number = kept - 1; number >= 1; number -= 1)
    if (statSync(`${path}.${number}`, { throwIfNoEntry: false }) !== undefined)
      renameSync(`${path}.${number}`, `${path}.${number + 1}`);
  renameSync(path, `${path}.1`);
}
