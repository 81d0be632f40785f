import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { sql } from "kysely";
import { type Database, idempotencyKeptMs } from "#base/database/index.ts";
import { toCandorError } from "#base/errors/index.ts";
import type { DataDirectory } from "#base/files/index.ts";
import type { Ledger } from "#base/ledger/index.ts";
import type { Search } from "#workbench/search/index.ts";

/** What a cleanup knows how to remove. The last one is removed only when it is named. */
export const cleanupKinds = [
  "expiredTrash",
  "orphanVectors",
  "idempotencyAnswers",
  "endedSessions",
  "emptyLedgerFiles",
  "unfinishedFiles",
  "migrationBackups",
] as const;
export type CleanupKind = (typeof cleanupKinds)[number];

/** Kinds of a cleanup that names none: nothing of them can be missed. */
export const usualKinds: readonly CleanupKind[] = cleanupKinds.slice(0, -1);

/** What is removed, or would be. */
export type Cleaned = {
  kind: CleanupKind;
  /** `disk`: given back to the file system. `database`: used again by later writes, the file keeps its size. */
  frees: "disk" | "database";
  /** Null with the reason where it could not be looked for. */
  count: number | null;
  /** Bytes of the content itself, without what rows and pages add. */
  bytes: number | null;
  /** How many could not be removed; each is in the ledger. */
  failed: number;
  reason: string | null;
};

type Dependencies = {
  state: { database: Database; ledger: Ledger };
  directory: DataDirectory;
  search: Search;
};

type Removed = { count: number; bytes: number; failed?: number };

/** A ledger file without errors is of no use to anybody after a day; the run itself stays in the database. */
const emptyLedgerFileMs = 86_400_000;

/** Larger ledger files have errors in them. */
const largestEmptyLedgerFile = 4096;

/** After this long no write is still going on: the process that began it is gone. */
const unfinishedMs = 3_600_000;

/** Removes what nothing needs, kind by kind; a dry run counts the very same. */
export async function cleanStorage(
  dependencies: Dependencies,
  kinds: readonly CleanupKind[] | "every",
  dryRun: boolean,
): Promise<Cleaned[]> {
  const cleaned: Cleaned[] = [];
  for (const kind of cleanupKinds) {
    if (kinds !== "every" && !kinds.includes(kind)) continue;
    const { frees, remove } = cleaners[kind];
    const { value, reason, thrown } = await tryTo(() => remove(dependencies, dryRun));
    if (value === null && !dryRun)
      await dependencies.state.ledger.record(thrown, { item: kind, operation: "storage.cleanup" });
    const { count, bytes, failed = 0 } = value ?? { count: null, bytes: null };
    cleaned.push({ kind, frees, count, bytes, failed, reason });
  }
  return cleaned;
}

type Tried<T> =
  | { value: T; reason: null; thrown: null }
  | { value: null; reason: string; thrown: unknown };

/** What `work` gives, or the reason why it gives nothing: one place that cannot be read hides no other. */
export async function tryTo<T>(work: () => Promise<T>): Promise<Tried<T>> {
  try {
    return { value: await work(), reason: null, thrown: null };
  } catch (thrown) {
    const { code, message } = toCandorError(thrown);
    return { value: null, reason: `${code}: ${message}`, thrown };
  }
}

type Cleaner = {
  readonly frees: Cleaned["frees"];
  readonly remove: (dependencies: Dependencies, dryRun: boolean) => Promise<Removed>;
};

const cleaners: Readonly<Record<CleanupKind, Cleaner>> = {
  expiredTrash: {
    frees: "database",
    remove: async ({ search }, dryRun) => {
      const { entries, bytes } = await search.trash.sweep(dryRun);
      return { count: entries, bytes };
    },
  },
  orphanVectors: {
    frees: "database",
    remove: ({ search }, dryRun) => search.trash.orphanVectors(dryRun),
  },
  idempotencyAnswers: { frees: "database", remove: removeAnswers },
  endedSessions: { frees: "database", remove: removeSessions },
  emptyLedgerFiles: { frees: "disk", remove: removeEmptyLedgerFiles },
  unfinishedFiles: { frees: "disk", remove: removeUnfinished },
  migrationBackups: { frees: "disk", remove: removeMigrationBackups },
};

async function removeAnswers({ state }: Dependencies, dryRun: boolean): Promise<Removed> {
  const ended = Date.now() - idempotencyKeptMs;
  const bytes = sql<number>`octet_length(answer) + octet_length(key)`.as("bytes");
  const rows = dryRun
    ? await state.database.read
        .selectFrom("idempotency")
        .select(bytes)
        .where("created_at", "<=", ended)
        .execute()
    : await state.database.write(({ tables }) =>
        tables
          .deleteFrom("idempotency")
          .where("created_at", "<=", ended)
          .returning(bytes)
          .execute(),
      );
  return sumUp(rows);
}

/** Sessions of browsers and sign-ins whose time is over; refresh tokens go with their sign-in. */
async function removeSessions({ state }: Dependencies, dryRun: boolean): Promise<Removed> {
  const now = Date.now();
  const session = sql<number>`octet_length(hash) + octet_length(principal_id)`.as("bytes");
  const login = sql<number>`octet_length(id) + octet_length(user_id)`.as("bytes");
  if (dryRun) {
    const { read } = state.database;
    const sessions = read.selectFrom("sessions").select(session).where("expires_at", "<=", now);
    const logins = read.selectFrom("logins").select(login).where("expires_at", "<=", now);
    return sumUp([...(await sessions.execute()), ...(await logins.execute())]);
  }
  return state.database.write(async ({ tables }) => {
    const sessions = tables.deleteFrom("sessions").where("expires_at", "<=", now);
    const logins = tables.deleteFrom("logins").where("expires_at", "<=", now);
    return sumUp([
      ...(await sessions.returning(session).execute()),
      ...(await logins.returning(login).execute()),
    ]);
  });
}

function sumUp(rows: readonly { bytes: number }[]): Removed {
  return { count: rows.length, bytes: rows.reduce((sum, { bytes }) => sum + bytes, 0) };
}

async function removeEmptyLedgerFiles(
  dependencies: Dependencies,
  dryRun: boolean,
): Promise<Removed> {
  const { artifacts } = dependencies.directory;
  const files = await oldFiles(artifacts, /^error-ledger-.+\.json$/, emptyLedgerFileMs);
  const empty: FoundFile[] = [];
  for (const file of files)
    if (file.bytes <= largestEmptyLedgerFile && (await hasNoErrors(file.path))) empty.push(file);
  return removeFiles(dependencies, empty, dryRun);
}

/** As the export writes it; a file that says it otherwise is nothing of ours and stays. */
async function hasNoErrors(path: string): Promise<boolean> {
  return /^ {2}"errors": \[\],$/m.test(await readFile(path, "utf8"));
}

/** What a write left under its temporary name when the process ended. */
async function removeUnfinished(dependencies: Dependencies, dryRun: boolean): Promise<Removed> {
  const found: FoundFile[] = [];
  for (const folder of Object.values(dependencies.directory))
    found.push(...(await oldFiles(folder, /\.unfinished$/, unfinishedMs)));
  return removeFiles(dependencies, found, dryRun);
}

/** Copies that were made before the database was migrated, all but the newest. */
async function removeMigrationBackups(
  dependencies: Dependencies,
  dryRun: boolean,
): Promise<Removed> {
  const copies = await oldFiles(
    dependencies.directory.backups,
    /^before-schema-\d+-\d+\.sqlite$/,
    0,
  );
  const newestFirst = copies.toSorted((one, other) => other.modified - one.modified);
  return removeFiles(dependencies, newestFirst.slice(1), dryRun);
}

type FoundFile = { path: string; bytes: number; modified: number };

async function oldFiles(folder: string, name: RegExp, ageMs: number): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  const newest = Date.now() - ageMs;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isFile() || !name.test(entry.name)) continue;
    const path = join(folder, entry.name);
    const { size, mtimeMs } = await stat(path);
    if (mtimeMs <= newest) found.push({ path, bytes: size, modified: mtimeMs });
  }
  return found;
}

async function removeFiles(
  { state }: Dependencies,
  files: readonly FoundFile[],
  dryRun: boolean,
): Promise<Removed> {
  const removed = { count: 0, bytes: 0, failed: 0 };
  for (const { path, bytes } of files) {
    try {
      if (!dryRun) await rm(path);
    } catch (thrown) {
      await state.ledger.record(thrown, { item: path, operation: "storage.cleanup" });
      removed.failed += 1;
      continue;
    }
    removed.count += 1;
    removed.bytes += bytes;
  }
  return removed;
}
