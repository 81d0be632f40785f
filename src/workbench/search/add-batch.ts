import type { CollectionRow } from "#base/database/index.ts";
import { type CandorError, redactText, toCandorError } from "#base/errors/index.ts";
import { type JobContext, type JobItem, type JobKind, withRetry } from "#base/jobs/index.ts";
import { type AddDocument, type Added, isSame, toIncoming } from "./add-document.ts";
import { documentOf, type IndexDependencies, makeReady, store } from "./index-document.ts";

export type BatchInput = {
  collection: string;
  documents: AddDocument[];
  /** Documents in work at the same time. */
  batchSize: number;
};

type BatchItem = {
  index: number;
  key: string;
  /** Null when the document that an earlier attempt added is not there any more. */
  document: string | null;
  outcome: Added["outcome"];
  chunks: number | null;
};

export type BatchResult = {
  done: number;
  failed: number;
  skipped: number;
  items: BatchItem[];
  errors: { item: string; code: string; message: string; ledgerId: string }[];
};

type Batch = {
  dependencies: IndexDependencies;
  context: JobContext<BatchInput>;
  collection: CollectionRow;
  /** What earlier attempts finished. */
  before: Map<string, JobItem>;
  result: BatchResult;
  /** Set when the collection or its model is gone: every further document would only repeat it. */
  end: CandorError | null;
};

/** The job behind `documents.addBatch`: every document by itself, failures listed with their ledger entry. */
export function addBatchJob(
  dependencies: IndexDependencies,
  find: (id: string) => Promise<CollectionRow>,
): JobKind<BatchInput> {
  return {
    kind: "documents.addBatch",
    unit: "documents",
    run: async (context) => {
      const { documents, batchSize } = context.input;
      context.expect(documents.length);
      context.enter("indexing");
      const batch: Batch = {
        dependencies,
        context,
        collection: await find(context.input.collection),
        before: await context.finishedBefore(),
        result: { done: 0, failed: 0, skipped: 0, items: [], errors: [] },
        end: null,
      };
      for (let from = 0; from < documents.length; from += batchSize) {
        if (context.signal.aborted) break;
        await dependencies.demandWriter(context.owner, batch.collection.id);
        const together = documents.slice(from, from + batchSize);
        await Promise.all(
          together.map((document, place) => addItem(batch, from + place, document)),
        );
        if (batch.end) throw batch.end;
      }
      batch.result.items.sort((a, b) => a.index - b.index);
      return batch.result;
    },
  };
}

async function addItem(batch: Batch, index: number, document: AddDocument): Promise<void> {
  const { context, before, result } = batch;
  const item = `${index}: ${document.key ?? "text"}`;
  const finished = before.get(item);
  if (!finished && context.only && !context.only.has(item)) return;
  try {
    const added = finished
      ? await addedBefore(batch, index, document, finished)
      : await addNow(batch, index, document, item);
    result.items.push(added);
    result.done += 1;
  } catch (thrown) {
    if (context.signal.aborted) return;
    const error = toCandorError(thrown);
    if (error.code === "not_found") {
      batch.end ??= error;
      return;
    }
    const ledgerId = await context.fail(item, error);
    result.failed += 1;
    result.errors.push({
      item: redactText(item),
      code: error.code,
      message: error.message,
      ledgerId,
    });
  }
}

/** An item that an earlier attempt finished, as it is now. */
async function addedBefore(
  { dependencies, collection }: Batch,
  index: number,
  document: AddDocument,
  { reason }: JobItem,
): Promise<BatchItem> {
  const { key } = toIncoming(document);
  const row = await documentOf(dependencies.database, collection, key, null);
  const outcome = reason === "replaced" || reason === "unchanged" ? reason : "added";
  return { index, key, document: row?.id ?? null, outcome, chunks: row?.chunk_count ?? null };
}

/** The same as `addDocument`, with the item's outcome in the transaction of its effect. */
async function addNow(
  { dependencies, context, collection }: Batch,
  index: number,
  document: AddDocument,
  item: string,
): Promise<BatchItem> {
  const incoming = toIncoming(document);
  const { key } = incoming;
  const there = await documentOf(dependencies.database, collection, key, null);
  if (there && isSame(there, incoming)) {
    await context.finish(item, { outcome: "done", reason: "unchanged" }, async () => {});
    return { index, key, document: there.id, outcome: "unchanged", chunks: there.chunk_count };
  }
  const ready = await withRetry(
    () => makeReady(dependencies, collection, incoming, context.signal),
    context.signal,
  );
  const outcome = there ? "replaced" : "added";
  const stored = await context.finish(item, { outcome: "done", reason: outcome }, (handle) =>
    store(dependencies, handle, collection, ready),
  );
  stored.applied();
  const { id, chunk_count: chunks } = stored.document;
  return { index, key, document: id, outcome: stored.outcome, chunks };
}
