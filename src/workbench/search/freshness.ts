import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import type { DocumentRow } from "#base/database/index.ts";

/** Whether what was indexed is what is there now. */
export type Freshness = { state: "current" | "stale" | "unknown"; indexedAt: string };

/** Larger files with a new modification time are not read for every hit; they count as unknown. */
const largestToHash = 4 * 1024 * 1024;

/**
 * Compares a document with its file at this moment: same size and time, or same hash, is current; changed or gone is
 * stale; unreadable is unknown. Text that was handed in is its own source and always current.
 */
export async function freshness(row: DocumentRow): Promise<Freshness> {
  return { state: await stateOf(row), indexedAt: new Date(row.indexed_at).toISOString() };
}

async function stateOf(row: DocumentRow): Promise<Freshness["state"]> {
  if (row.source_kind !== "file") return row.source_kind === "url" ? "unknown" : "current";
  if (row.source_path === null) return "unknown";
  try {
    const facts = await stat(row.source_path);
    if (!facts.isFile() || facts.size !== row.bytes) return "stale";
    if (Math.trunc(facts.mtimeMs) === row.modified_ms) return "current";
    if (facts.size > largestToHash) return "unknown";
    const hash = createHash("sha256")
      .update(await readFile(row.source_path))
      .digest("hex");
    return hash === row.sha256 ? "current" : "stale";
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : "";
    return code === "ENOENT" || code === "ENOTDIR" ? "stale" : "unknown";
  }
}
