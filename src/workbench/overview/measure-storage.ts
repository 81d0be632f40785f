import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { sqliteFile } from "#base/config/index.ts";
import type { StoreSizes } from "#base/database/index.ts";
import { diskSpace } from "#base/files/index.ts";
import { taskUrl, type WorkerPool } from "#base/workers/index.ts";
import { type Cleaned, cleanStorage, tryTo } from "./clean-storage.ts";
import type { OverviewDependencies } from "./create-overview.ts";

/** Bytes on the disk; null with the reason where they could not be measured. */
type Measured = { bytes: number | null; files: number | null; reason: string | null };

export type StorageUsage = {
  measuredAt: string;
  disk: { freeBytes: number; totalBytes: number };
  kinds: ({ kind: string } & Measured)[];
  /** What the database file is made of; free pages are used again before the file grows. */
  database: { contents: { kind: string; bytes: number }[] | null; reason: string | null };
  trash: {
    entries: number | null;
    bytes: number | null;
    sweptAt: string | null;
    purgedSinceStart: number;
  };
  reclaimable: Cleaned[];
};

/** Which kind of content each table holds; a table that is not named here counts as `other`. */
const tableKinds: Readonly<Record<string, string>> = {
  documents: "documents",
  document_texts: "documents",
  chunks: "chunks",
  vectors: "vectors",
  trash_entries: "trash",
  trashed_documents: "trash",
  trashed_texts: "trash",
  trashed_chunks: "trash",
  jobs: "jobs",
  job_items: "jobs",
  runs: "ledger",
  ledger_entries: "ledger",
  audit_entries: "audit",
  idempotency: "idempotency",
};

/** Longest time the pages of the database are read for; 10 GB of a warm disk take a few seconds. */
const longestMeasureMs = 120_000;
const idleThreadMs = 10_000;

export type MeasureStorage = () => Promise<StorageUsage>;

/** Bytes by kind, each measured now: files by their size, the database by the pages of each table. */
export function createMeasureStorage(dependencies: OverviewDependencies): MeasureStorage {
  const { configuration, directory, models, state } = dependencies;
  const path = sqliteFile(configuration.config.database.url, directory.home);
  let pool: WorkerPool | null = null;
  const measureTables = (): Promise<StoreSizes> => {
    pool ??= models.workers.pool({
      name: "measure storage",
      task: taskUrl(import.meta.url, "workbench/overview/measure-tables-task.ts"),
      size: 1,
      memoryMegabytes: configuration.config.performance.workerMegabytes,
      idleMs: idleThreadMs,
      openData: { path },
    });
    const { signal } = new AbortController();
    return pool.run<StoreSizes>("measure", {}, { timeoutMs: longestMeasureMs, signal });
  };
  return async () => {
    const tables = await tryTo(measureTables);
    const { sweptAt, purged } = models.search.trash.status();
    const { value } = tables;
    return {
      measuredAt: new Date().toISOString(),
      disk: await diskSpace(directory.home),
      kinds: await measureFiles(dependencies, path),
      database: { contents: value === null ? null : toContents(value), reason: tables.reason },
      trash: {
        entries: value?.found["trashEntries"] ?? null,
        bytes: value?.found["trashBytes"] ?? null,
        sweptAt,
        purgedSinceStart: purged.entries,
      },
      reclaimable: await cleanStorage({ state, directory, search: models.search }, "every", true),
    };
  };
}

function toContents({ tables, freeBytes }: StoreSizes): { kind: string; bytes: number }[] {
  const sums = new Map<string, number>();
  for (const { table, bytes } of tables) {
    const kind = table.startsWith("words_") ? "keywords" : (tableKinds[table] ?? "other");
    sums.set(kind, (sums.get(kind) ?? 0) + bytes);
  }
  sums.set("free", freeBytes);
  return [...sums]
    .map(([kind, bytes]) => ({ kind, bytes }))
    .toSorted((one, other) => other.bytes - one.bytes);
}

/** The places of the data directory, the database wherever it is, and the models that are configured. */
async function measureFiles(
  { configuration, directory }: OverviewDependencies,
  path: string,
): Promise<StorageUsage["kinds"]> {
  const { home, run, artifacts, backups, logs } = directory;
  const own = new Set([run, artifacts, backups, logs, path, `${path}-wal`, `${path}-shm`]);
  const modelFolders = configuration.config.models.static;
  const places: [string, () => Promise<{ bytes: number; files: number }>][] = [
    ["database", () => sizeOfFiles(path, new Set([basename(path)]))],
    ["databaseLog", () => sizeOfFiles(path, new Set([`${basename(path)}-wal`]))],
    ["logs", () => sizeOf(logs)],
    ["artifacts", () => sizeOf(artifacts)],
    ["backups", () => sizeOf(backups)],
    ["models", () => sumOf(modelFolders.map((folder) => sizeOf(folder)))],
    ["other", () => sumOf([sizeOf(run), sizeOf(home, own)])],
  ];
  const kinds: StorageUsage["kinds"] = [];
  for (const [kind, measure] of places) {
    const { value, reason } = await tryTo(measure);
    kinds.push({ kind, bytes: value?.bytes ?? null, files: value?.files ?? null, reason });
  }
  return kinds;
}

async function sumOf(sizes: readonly Promise<{ bytes: number; files: number }>[]) {
  const sum = { bytes: 0, files: 0 };
  for (const { bytes, files } of await Promise.all(sizes)) {
    sum.bytes += bytes;
    sum.files += files;
  }
  return sum;
}

/** Those of the named files beside `path` that are there. */
async function sizeOfFiles(path: string, names: ReadonlySet<string>) {
  const sum = { bytes: 0, files: 0 };
  for (const name of await readdir(dirname(path))) {
    if (!names.has(name)) continue;
    sum.bytes += (await stat(join(dirname(path), name))).size;
    sum.files += 1;
  }
  return sum;
}

/** Bytes of all files below a folder; links are not followed, `without` is passed over. */
async function sizeOf(
  folder: string,
  without: ReadonlySet<string> = new Set(),
): Promise<{ bytes: number; files: number }> {
  const sum = { bytes: 0, files: 0 };
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (without.has(path)) continue;
    if (entry.isDirectory()) {
      const inner = await sizeOf(path, without);
      sum.bytes += inner.bytes;
      sum.files += inner.files;
    } else if (entry.isFile()) {
      sum.bytes += await sizeOfFile(path);
      sum.files += 1;
    }
  }
  return sum;
}

/** A file that is gone meanwhile (a finished write, a put-aside log) has no bytes any more. */
async function sizeOfFile(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return 0;
    throw thrown;
  }
}
