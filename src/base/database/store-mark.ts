import { constants } from "node:fs";
import { open, readFile, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";

/** Larger files are closed without checksums: at about a gigabyte a second a stop would no longer fit into its ten seconds. */
export const largestSummedBytes = 4 * 1024 ** 3;

/** How much of the database file is read at once, in bytes: a multiple of every page size. */
const stepBytes = 4 * 1024 * 1024;

/** What the database file was when it was closed: its pages by checksum, and when it was last written. */
export type PageSums = {
  readonly bytes: number;
  readonly pageBytes: number;
  /** Nanoseconds since 1970, as text. */
  readonly modified: string;
  /** CRC-32 of each page, in order. */
  readonly sums: Uint32Array;
};

/**
 * What the file beside the database says of the last process that had it: `open` while one has it, and after one that
 * died; `closed` after a clean stop, with the checksums of all pages unless the file was too large or somebody else
 * was reading it. `unreadable` when the mark itself is damaged.
 */
export type StoreMark =
  | { readonly state: "open" | "unreadable" }
  | { readonly state: "closed"; readonly pages: PageSums | null };

/** Where the mark of a database file lies. */
export function markPath(database: string): string {
  return `${database}-mark`;
}

/** The mark beside `database`, or null when there is none. */
export async function readMark(database: string): Promise<StoreMark | null> {
  let content: Buffer;
  try {
    content = await readFile(markPath(database));
  } catch (thrown) {
    if (isMissing(thrown)) return null;
    throw thrown;
  }
  const lineEnd = content.indexOf("\n");
  if (lineEnd < 0 || content.length < lineEnd + 5) return { state: "unreadable" };
  const body = content.subarray(0, content.length - 4);
  if (crc32(body) !== content.readUInt32LE(body.length)) return { state: "unreadable" };
  const head = JSON.parse(body.toString("utf8", 0, lineEnd)) as
    | { state: "open" }
    | { state: "closed"; pages: Omit<PageSums, "sums"> | null };
  if (head.state === "open" || head.pages === null)
    return head.state === "open" ? head : { state: "closed", pages: null };
  const sums = new Uint32Array(new Uint8Array(body.subarray(lineEnd + 1)).buffer);
  return { state: "closed", pages: { ...head.pages, sums } };
}

/** Replaces the mark, durably: a mark that outlives what it says would be a lie at the next start. */
export async function writeMark(
  database: string,
  mark: Exclude<StoreMark, { state: "unreadable" }>,
): Promise<void> {
  const { sums, ...facts } = (mark.state === "closed" ? mark.pages : null) ?? { sums: null };
  const head =
    mark.state === "open" ? mark : { state: "closed", pages: sums === null ? null : facts };
  const body = Buffer.concat([
    Buffer.from(`${JSON.stringify(head)}\n`),
    sums === null ? new Uint8Array() : new Uint8Array(sums.buffer, 0, sums.byteLength),
  ]);
  const check = Buffer.alloc(4);
  check.writeUInt32LE(crc32(body));
  const path = markPath(database);
  const unfinished = `${path}.unfinished`;
  await writeSynced(unfinished, Buffer.concat([body, check]));
  await rename(unfinished, path);
  await syncFolder(dirname(path));
}

async function writeSynced(path: string, content: Uint8Array): Promise<void> {
  const file = await open(path, "w", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes renames in a folder durable. Windows has no such call, and no need of it. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The checksums of a database file that nobody writes to; null when it is too large for a stop to wait for them. */
export async function sumPages(database: string): Promise<PageSums | null> {
  const { size, mtimeNs } = await stat(database, { bigint: true });
  const bytes = Number(size);
  if (bytes === 0 || bytes > largestSummedBytes) return null;
  const file = await open(database, "r");
  try {
    const header = Buffer.alloc(18);
    await file.read(header, 0, header.length, 0);
    // The page size at offset 16, where 1 means 65,536 (https://sqlite.org/fileformat2.html, section 1.3.2).
    const written = header.readUInt16BE(16);
    const pageBytes = written === 1 ? 65_536 : written;
    if (pageBytes < 512 || (pageBytes & (pageBytes - 1)) !== 0) return null;
    const sums = new Uint32Array(Math.ceil(bytes / pageBytes));
    const buffer = Buffer.alloc(stepBytes);
    for (let from = 0; from < bytes; from += stepBytes) {
      const { bytesRead } = await file.read(buffer, 0, stepBytes, from);
      for (let start = 0; start < bytesRead; start += pageBytes)
        sums[(from + start) / pageBytes] = crc32(
          buffer.subarray(start, Math.min(start + pageBytes, bytesRead)),
        );
    }
    return { bytes, pageBytes, modified: String(mtimeNs), sums };
  } finally {
    await file.close();
  }
}

/** The numbers, from one, of the pages that are not what they were; `touched`: something wrote to the file since. */
export async function findChangedPages(
  database: string,
  before: PageSums,
): Promise<{ pages: number[]; touched: boolean }> {
  const now = await sumPages(database);
  const { mtimeNs } = await stat(database, { bigint: true });
  const touched = String(mtimeNs) !== before.modified;
  const count = Math.max(before.sums.length, now?.sums.length ?? 0);
  const pages: number[] = [];
  for (let page = 0; page < count; page += 1)
    if (now?.pageBytes !== before.pageBytes || now.sums[page] !== before.sums[page])
      pages.push(page + 1);
  return { pages, touched };
}

/** Whether a file operation failed because there is no such file. */
export function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT";
}
