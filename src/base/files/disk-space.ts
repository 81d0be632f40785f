import { statfs } from "node:fs/promises";

/** Free and total bytes of the file system that holds `path`, as this user may use them. */
export async function diskSpace(path: string): Promise<{ freeBytes: number; totalBytes: number }> {
  const facts = await statfs(path);
  return { freeBytes: facts.bavail * facts.bsize, totalBytes: facts.blocks * facts.bsize };
}
