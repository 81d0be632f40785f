import type { CollectionRow, Database, DocumentRow, WriteHandle } from "#base/database/index.ts";
import { EmbeddingInferenceError } from "#base/errors/index.ts";
import type { WorkerPool } from "#base/workers/index.ts";
import {
  type Embedding,
  type Embeddings,
  readEmbedding,
  type Space,
} from "#engine/embeddings/index.ts";
import type { PreparedDocument } from "#workbench/readers/index.ts";
import type { ReadyDocument, Stored } from "./store-document.ts";
import { keyTaken, storeDocument } from "./store-document.ts";
import type { VectorIndex } from "./vector-index.ts";

/** Texts embedded in one call: long enough to amortise the call, short enough that others get their turn. */
const embedBatch = 64;

export type IndexDependencies = {
  database: Database;
  embeddings: Embeddings;
  vectors: VectorIndex;
  /** The worker pool that reads and cuts documents for a space. */
  preparing: (space: Space) => Promise<WorkerPool>;
  limits: () => { timeoutMs: number; concurrency: number; trashDays: number };
  /** Raises PermissionDeniedError once a job's owner may not write into its collection any more. */
  demandWriter: (owner: string, collection: string) => Promise<void>;
};

/** A document's bytes and what its caller says of it. */
export type IncomingDocument = {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly mediaType: string | null;
  readonly title: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly source: ReadyDocument["source"];
  readonly root: string | null;
  readonly modifiedMs: number | null;
};

/** Reads, cuts and embeds a document in worker threads. Nothing is stored; whatever fails fails the whole document. */
export async function makeReady(
  { database, embeddings, preparing, limits }: IndexDependencies,
  collection: CollectionRow,
  incoming: IncomingDocument,
  signal: AbortSignal,
): Promise<ReadyDocument> {
  const space = await embeddings.space(collection.space_id);
  const pool = await preparing(space);
  const prepared = await pool.run<PreparedDocument>(
    "prepare",
    {
      bytes: incoming.bytes,
      key: incoming.key,
      ...(incoming.mediaType === null ? {} : { mediaType: incoming.mediaType }),
      limits: { maxTokens: collection.max_tokens, overlapTokens: collection.overlap_tokens },
    },
    { timeoutMs: limits().timeoutMs, signal },
  );
  const { key, title, metadata, source, root, modifiedMs } = incoming;
  return {
    key,
    title,
    metadata,
    source,
    root,
    modifiedMs,
    prepared,
    embeddings: await embedChunks(database, embeddings, space, prepared, signal),
  };
}

/** One vector per chunk: those the store has for the same text, the rest from the model. */
async function embedChunks(
  database: Database,
  embeddings: Embeddings,
  space: Space,
  prepared: PreparedDocument,
  signal: AbortSignal,
): Promise<Embedding[]> {
  const known = await storedVectors(
    database,
    space,
    prepared.chunks.map(({ key }) => key),
  );
  const texts = new Map<string, string>();
  for (const chunk of prepared.chunks)
    if (!known.has(chunk.key)) texts.set(chunk.key, chunk.embeddedText);
  const missing = [...texts];
  for (let from = 0; from < missing.length; from += embedBatch) {
    const batch = missing.slice(from, from + embedBatch);
    const items = await embeddings.embed(
      space,
      batch.map(([, text]) => text),
      { kind: "passage", signal },
    );
    for (const [index, item] of items.entries()) {
      if ("error" in item) throw item.error;
      if (item.truncated)
        throw new EmbeddingInferenceError(
          `A chunk has ${item.truncated.tokens} tokens with the prefix of ${space.name}, which reads ${item.truncated.limit}. Use a collection with smaller chunks.`,
          { details: item.truncated },
        );
      const key = batch[index]?.[0];
      if (key !== undefined) known.set(key, item.embedding);
    }
  }
  return prepared.chunks.map(({ key, ordinal }) => {
    const embedding = known.get(key);
    if (!embedding)
      throw new EmbeddingInferenceError(`Chunk ${ordinal} came back without a vector.`);
    return embedding;
  });
}

async function storedVectors(
  database: Database,
  space: Space,
  keys: readonly string[],
): Promise<Map<string, Embedding>> {
  const rows = await database.read
    .selectFrom("vectors")
    .select(["chunk_key", "vector"])
    .where("space_id", "=", space.id)
    .where(database.words.idsIn("chunk_key", keys))
    .execute();
  return new Map(rows.map((row) => [row.chunk_key, readEmbedding(space, row.vector)]));
}

/** Stores a ready document in the caller's transaction; `applied` is called after COMMIT and lets searches see it. */
export async function store(
  { database, vectors }: IndexDependencies,
  handle: WriteHandle,
  collection: CollectionRow,
  ready: ReadyDocument,
): Promise<Stored & { applied: () => void }> {
  const stored = await storeDocument(handle.tables, database, collection, ready);
  return { ...stored, applied: () => vectors.apply(collection.id, stored.change) };
}

/** The document under a key, when the source that wants to write it may: documents of a root belong to its sync. */
export async function documentOf(
  database: Database,
  collection: CollectionRow,
  key: string,
  root: string | null,
): Promise<DocumentRow | null> {
  const row = await database.unscoped
    .selectFrom("documents")
    .selectAll()
    .where("collection_id", "=", collection.id)
    .where("key", "=", key)
    // Of a collection in the trash nothing is there: what is stored anew finds that it is gone.
    .where("collection_id", "in", (collections) =>
      collections.selectFrom("collections").select("id").where("trash_id", "is", null),
    )
    .executeTakeFirst();
  if (!row) return null;
  if (row.root !== root) throw keyTaken(collection, key, row.root);
  return row;
}
