import { createHash } from "node:crypto";
import type { CollectionRow } from "#base/database/index.ts";
import {
  type CandorError,
  FileMissingError,
  redactText,
  toCandorError,
} from "#base/errors/index.ts";
import { type JobContext, type JobKind, withRetry } from "#base/jobs/index.ts";
import { stat } from "node:fs/promises";
import { readFileSafely, walkFolder } from "#workbench/readers/index.ts";
import { documentOf, type IndexDependencies, makeReady, store } from "./index-document.ts";
import { trashDocument } from "./trash-rows.ts";

export type SyncInput = {
  collection: string;
  /** Resolved and allowed when the job was made; looked at again with each attempt. */
  root: string;
  /** Whether `local` made the job, who may name any folder. */
  anywhere?: boolean | undefined;
  include?: string[] | undefined;
  exclude?: string[] | undefined;
};

export type SyncResult = {
  added: number;
  replaced: number;
  unchanged: number;
  removed: number;
  failed: number;
  /** The first of them; all are in the job's items. */
  skipped: { key: string; reason: string }[];
  skippedCount: number;
  /** Source files that were cut by lines, with the reason. */
  lineWindows: { key: string; reason: string }[];
};

/** Skipped and line-cut files listed in a result; the rest are in the job's items. */
const listedInResult = 100;

type Sync = {
  dependencies: IndexDependencies;
  context: JobContext<SyncInput>;
  collection: CollectionRow;
  result: SyncResult;
  /** Keys that are there, whatever became of them: all others of this root go. */
  seen: Set<string>;
  /** Folders that could not be read: what was indexed below them stays. */
  unread: string[];
  /** Files of the counting walk; null when only failed ones are run again. */
  total: number | null;
};

/** The job behind `collections.sync`: makes a collection hold what a folder holds, one transaction per file. */
export function syncJob(
  dependencies: IndexDependencies,
  find: (id: string) => Promise<CollectionRow>,
  checkRoot: (root: string, anywhere: boolean) => Promise<void>,
): JobKind<SyncInput> {
  return {
    kind: "collections.sync",
    unit: "files",
    run: async (context) => {
      const collection = await find(context.input.collection);
      const { root, anywhere } = context.input;
      await demandFolder(root);
      // Jobs of earlier versions do not say it; then only `local` itself was `local`.
      await checkRoot(root, anywhere ?? context.owner === "local");
      const sync: Sync = {
        dependencies,
        context,
        collection,
        seen: new Set(),
        unread: [],
        total: null,
        result: {
          added: 0,
          replaced: 0,
          unchanged: 0,
          removed: 0,
          failed: 0,
          skipped: [],
          skippedCount: 0,
          lineWindows: [],
        },
      };
      await countFiles(sync);
      await indexFiles(sync);
      if (!context.signal.aborted && !context.only) await removeGone(sync);
      return sync.result;
    },
  };
}

async function demandFolder(root: string): Promise<void> {
  try {
    await stat(root);
  } catch (thrown) {
    throw new FileMissingError(`The folder ${root} cannot be read: nothing was changed.`, {
      cause: thrown,
    });
  }
}

/** A first walk counts, so that progress and time left are of the work itself. */
async function countFiles(sync: Sync): Promise<void> {
  const { context } = sync;
  context.enter("counting");
  if (context.only) {
    context.enter("indexing");
    return;
  }
  let total = 0;
  for await (const _entry of walk(context)) {
    if (context.signal.aborted) return;
    total += 1;
  }
  sync.total = total;
  context.expect(total);
  context.enter("indexing");
}

function walk({ input, signal }: JobContext<SyncInput>) {
  return walkFolder(input.root, {
    ...(input.include === undefined ? {} : { include: input.include }),
    ...(input.exclude === undefined ? {} : { exclude: input.exclude }),
    signal,
  });
}

/** Walks again and works on a bounded number of files at a time. */
async function indexFiles(sync: Sync): Promise<void> {
  const { context, dependencies } = sync;
  const { concurrency } = dependencies.limits();
  const working = new Set<Promise<void>>();
  let fatal: CandorError | null = null;
  for await (const entry of walk(context)) {
    if (context.signal.aborted || fatal) break;
    await dependencies.demandWriter(context.owner, sync.collection.id);
    if (entry.kind !== "failed" || !entry.directory) sync.seen.add(entry.key);
    if (context.only && !isWanted(context.only, entry.key)) continue;
    const work = handle(sync, entry).catch((thrown: unknown) => {
      fatal ??= toCandorError(thrown);
    });
    working.add(work);
    void work.finally(() => working.delete(work));
    if (working.size >= concurrency) await Promise.race(working);
  }
  await Promise.all(working);
  if (fatal) throw fatal;
}

/** Whether a retry is about this file: it failed itself, or a folder above it could not be read. */
function isWanted(only: ReadonlySet<string>, key: string): boolean {
  for (let end = key.length; end > 0; end = key.lastIndexOf("/", end - 1))
    if (only.has(key.slice(0, end))) return true;
  return false;
}

type Entry = ReturnType<typeof walkFolder> extends AsyncGenerator<infer Item> ? Item : never;

async function handle(sync: Sync, entry: Entry): Promise<void> {
  const { context, result } = sync;
  switch (entry.kind) {
    case "skipped":
      await skip(sync, entry.key, entry.reason);
      return;
    case "failed":
      if (entry.directory) sync.unread.push(entry.key);
      else if (entry.error.code === "file_missing") {
        await skip(sync, entry.key, "deleted meanwhile");
        return;
      }
      await context.fail(entry.key, entry.error);
      result.failed += 1;
      return;
    case "file":
      await indexFile(sync, entry.key, entry.path);
      return;
  }
}

/** Files that are no documents: nothing failed, there is only nothing to index. */
const skipReasons: Readonly<Record<string, string>> = {
  document_empty: "empty",
  format_unsupported: "binary",
  file_missing: "deleted meanwhile",
};

/** A file that is skipped is not part of the collection, whatever it was before. */
async function skip({ context, result, seen }: Sync, key: string, reason: string): Promise<void> {
  await context.finish(key, { outcome: "skipped", reason }, async () => {});
  seen.delete(key);
  result.skippedCount += 1;
  if (result.skipped.length < listedInResult) result.skipped.push({ key: redactText(key), reason });
}

async function indexFile(sync: Sync, key: string, path: string): Promise<void> {
  const { context, result } = sync;
  try {
    const outcome = await withRetry(() => syncFile(sync, key, path), context.signal);
    result[outcome] += 1;
  } catch (thrown) {
    const error = toCandorError(thrown);
    if (error.code === "cancelled") return;
    // The collection or its model is gone: no file can be indexed any more, and every one would only repeat it.
    if (error.code === "not_found") throw error;
    const reason = skipReasons[error.code];
    if (reason !== undefined) {
      await skip(sync, key, reason);
      return;
    }
    await context.fail(key, error);
    result.failed += 1;
  }
}

async function syncFile(
  sync: Sync,
  key: string,
  path: string,
): Promise<"added" | "replaced" | "unchanged"> {
  const { context, collection, dependencies, result } = sync;
  const { root } = context.input;
  const { bytes, modifiedMs } = await readFileSafely(root, key);
  const before = await documentOf(dependencies.database, collection, key, root);
  const hash = createHash("sha256").update(bytes).digest("hex");
  if (before?.sha256 === hash) {
    const modified = Math.trunc(modifiedMs);
    await context.finish(key, { outcome: "done", reason: "unchanged" }, async ({ tables }) => {
      // Touched but the same: from its new time on it counts as current again without being read.
      if (before.modified_ms !== modified)
        await tables
          .updateTable("documents")
          .set({ modified_ms: modified })
          .where("id", "=", before.id)
          .where("sha256", "=", hash)
          .execute();
    });
    listLineWindows(result, key, before.fell_back);
    return "unchanged";
  }
  const ready = await makeReady(
    dependencies,
    collection,
    {
      key,
      bytes,
      mediaType: null,
      title: null,
      metadata: {},
      source: { kind: "file", path, url: null },
      root,
      modifiedMs: Math.trunc(modifiedMs),
    },
    context.signal,
  );
  const stored = await context.finish(key, { outcome: "done" }, (write) =>
    store(dependencies, write, collection, ready),
  );
  stored.applied();
  listLineWindows(result, key, stored.document.fell_back);
  return stored.outcome;
}

function listLineWindows(result: SyncResult, key: string, reason: string | null): void {
  if (reason !== null && result.lineWindows.length < listedInResult)
    result.lineWindows.push({ key: redactText(key), reason });
}

/** Documents of this root whose file is not there any more, except below folders that could not be read. */
async function removeGone(sync: Sync): Promise<void> {
  const { context, collection, dependencies, result } = sync;
  const { database, vectors } = dependencies;
  context.enter("removing");
  const rows = await database.unscoped
    .selectFrom("documents")
    .select(["id", "key"])
    .where("collection_id", "=", collection.id)
    .where("root", "=", context.input.root)
    .execute();
  const gone = rows.filter(
    ({ key }) => !sync.seen.has(key) && !sync.unread.some((folder) => isBelow(key, folder)),
  );
  if (sync.total !== null) context.expect(sync.total + gone.length);
  for (const { id, key } of gone) {
    if (context.signal.aborted) return;
    await dependencies.demandWriter(context.owner, collection.id);
    const trashed = await context.finish(
      `${key} (removed)`,
      { outcome: "done", reason: "removed" },
      ({ tables }) =>
        trashDocument(tables, collection, id, {
          by: context.owner,
          days: dependencies.limits().trashDays,
        }),
    );
    if (trashed) vectors.apply(collection.id, trashed.change);
    result.removed += 1;
  }
}

function isBelow(key: string, folder: string): boolean {
  return folder === "" || folder === "." || key.startsWith(`${folder}/`);
}
