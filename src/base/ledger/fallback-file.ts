import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { appendFile, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { syncFolder } from "#base/database/index.ts";
import type { LedgerRow } from "./entry.ts";

/** Where entries wait while the database refuses them: one JSON row per line, appended and synced. */
export function fallbackPath(artifacts: string): string {
  return join(artifacts, "ledger-fallback.ndjson");
}

/** Appends one entry durably, on a line of its own even behind one that was torn. */
export async function appendFallback(artifacts: string, row: LedgerRow): Promise<void> {
  const path = fallbackPath(artifacts);
  const isNew = !existsSync(path);
  await appendFile(path, `\n${JSON.stringify(row)}\n`, { mode: 0o600, flush: true });
  // The name of a new file is not on the disk before its folder is.
  if (isNew) await syncFolder(artifacts);
}

/** The entries that wait; torn lines are left out and counted as `torn`. */
export async function readFallback(
  artifacts: string,
): Promise<{ rows: LedgerRow[]; torn: number }> {
  let text: string;
  try {
    text = await readFile(fallbackPath(artifacts), "utf8");
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT")
      return { rows: [], torn: 0 };
    throw thrown;
  }
  const rows: LedgerRow[] = [];
  let torn = 0;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    try {
      const row: unknown = JSON.parse(line);
      if (typeof row !== "object" || row === null) torn += 1;
      else rows.push(row as LedgerRow);
    } catch (thrown) {
      if (!(thrown instanceof SyntaxError)) throw thrown;
      torn += 1;
    }
  }
  return { rows, torn };
}

/** Puts the file away once its entries are in the database; with torn lines it stays, under another name. */
export async function clearFallback(artifacts: string, torn: number): Promise<void> {
  if (torn === 0) await rm(fallbackPath(artifacts), { force: true });
  else await rename(fallbackPath(artifacts), `${fallbackPath(artifacts)}.${randomUUID()}.torn`);
}
