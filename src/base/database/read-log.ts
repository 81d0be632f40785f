import { open } from "node:fs/promises";

/** Bytes of the log's header and of the header before each page (https://sqlite.org/fileformat2.html, section 4). */
const headerBytes = 32;
const frameHeaderBytes = 24;

/** Frames read at once. */
const framesPerStep = 256;

/**
 * What is wrong with the write-ahead log of a database that no process has open, or null. SQLite takes a damaged frame
 * for the end of the log and drops what was committed behind it without a word. The end may be torn when power failed,
 * for the last transaction was not acknowledged yet; but behind a torn transaction nothing can follow, because each is
 * on the disk before the next one begins.
 */
export async function findLogFault(path: string): Promise<string | null> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (size < headerBytes) return null;
    const header = Buffer.alloc(headerBytes);
    await file.read(header, 0, headerBytes, 0);
    const isBigEndian = (header.readUInt32BE(0) & 1) === 1;
    const sum = createSum(isBigEndian);
    sum.add(header.subarray(0, 24));
    if (!sum.equals(header, 24)) return "its header is damaged";
    const frameBytes = frameHeaderBytes + header.readUInt32BE(8);
    let broken = false;
    let commitsBehind = 0;
    const step = Buffer.alloc(frameBytes * framesPerStep);
    for (let from = headerBytes; from + frameBytes <= size; from += step.length) {
      const { bytesRead } = await file.read(step, 0, step.length, from);
      for (let at = 0; at + frameBytes <= bytesRead; at += frameBytes) {
        const frame = step.subarray(at, at + frameBytes);
        // Older salts: what is left of the log before it began anew.
        const isOfThisLog = frame.compare(header, 16, 24, 8, 16) === 0;
        if (!broken) {
          if (!isOfThisLog) return null;
          sum.add(frame.subarray(0, 8));
          sum.add(frame.subarray(frameHeaderBytes));
          broken = !sum.equals(frame, 16);
        }
        // A frame with a size of the database ends a transaction.
        if (broken && isOfThisLog && frame.readUInt32BE(4) > 0) commitsBehind += 1;
      }
    }
    return commitsBehind > 1
      ? `a part of it is damaged, and ${commitsBehind - 1} transactions were committed behind it`
      : null;
  } finally {
    await file.close();
  }
}

/** The running checksum of the log: two sums over pairs of 32-bit words, section 4.2 of the format. */
function createSum(isBigEndian: boolean) {
  let first = 0;
  let second = 0;
  return {
    add: (bytes: Buffer) => {
      const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      for (let at = 0; at < bytes.length; at += 8) {
        first = (first + words.getUint32(at, !isBigEndian) + second) >>> 0;
        second = (second + words.getUint32(at + 4, !isBigEndian) + first) >>> 0;
      }
    },
    equals: (bytes: Buffer, at: number) =>
      bytes.readUInt32BE(at) === first && bytes.readUInt32BE(at + 4) === second,
  };
}
