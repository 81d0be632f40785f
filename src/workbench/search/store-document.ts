import { type Kysely, sql } from "kysely";
import {
  type CollectionRow,
  type Database,
  type DocumentRow,
  newId,
  type Tables,
} from "#base/database/index.ts";
import { KeyTakenError, NotFoundError } from "#base/errors/index.ts";
import { type Embedding, storedEmbedding } from "#engine/embeddings/index.ts";
import type { PreparedDocument } from "#workbench/readers/index.ts";
import { addKeywords, keywordEntry, removeKeywords } from "./keyword-index.ts";
import type { ContentChange } from "./vector-index.ts";

/** A document read, cut and embedded: all that one transaction needs. */
export type ReadyDocument = {
  readonly key: string;
  readonly prepared: PreparedDocument;
  /** One vector per chunk, in the chunks' order. */
  readonly embeddings: readonly Embedding[];
  readonly title: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly source: {
    readonly kind: DocumentRow["source_kind"];
    readonly path: string | null;
    readonly url: string | null;
  };
  readonly root: string | null;
  readonly modifiedMs: number | null;
};

export type Stored = {
  readonly document: DocumentRow;
  readonly outcome: "added" | "replaced";
  readonly change: ContentChange;
};

/**
 * Writes a document with its chunks, vectors and keywords in the caller's transaction: what was there under its key
 * goes, the document's hash comes last. The collection's generation grows by one.
 */
export async function storeDocument(
  tables: Kysely<Tables>,
  database: Database,
  collection: CollectionRow,
  ready: ReadyDocument,
): Promise<Stored> {
  const generation = await nextGeneration(tables, collection);
  const before = await tables
    .selectFrom("documents")
    .select(["id", "key", "title", "created_at", "root"])
    .where("collection_id", "=", collection.id)
    .where("key", "=", ready.key)
    .executeTakeFirst();
  const replacedKeys: string[] = [];
  const removedRows: number[] = [];
  if (before) {
    if (before.root !== ready.root) throw keyTaken(collection, ready.key, before.root);
    const removed = await removeChunks(tables, collection.id, before);
    replacedKeys.push(...removed.keys);
    removedRows.push(...removed.rows);
    await tables.deleteFrom("documents").where("id", "=", before.id).execute();
  }
  const document = toRow(collection, ready, before);
  await tables.insertInto("documents").values(document).execute();
  await tables
    .insertInto("document_texts")
    .values({
      document_id: document.id,
      collection_id: collection.id,
      text: ready.prepared.text,
    })
    .execute();
  const added: ContentChange["added"][number][] = [];
  for (const [index, chunk] of ready.prepared.chunks.entries()) {
    const embedding = ready.embeddings[index];
    if (!embedding) throw new TypeError(`chunk ${index} of ${ready.key} came without its vector`);
    added.push(
      await storeChunk(
        tables,
        collection,
        { document, prepared: ready.prepared },
        chunk,
        embedding,
      ),
    );
  }
  await dropUnusedVectors(tables, database, replacedKeys);
  return {
    document,
    outcome: before ? "replaced" : "added",
    change: { generation, removedRows, added },
  };
}

type PreparedChunk = PreparedDocument["chunks"][number];

async function storeChunk(
  tables: Kysely<Tables>,
  collection: CollectionRow,
  { document, prepared }: { document: DocumentRow; prepared: PreparedDocument },
  chunk: PreparedChunk,
  embedding: Embedding,
): Promise<ContentChange["added"][number]> {
  const id = newId("chk");
  const text = prepared.text.slice(chunk.from, chunk.to);
  const { row } = await tables
    .insertInto("chunks")
    .values({
      id,
      collection_id: collection.id,
      document_id: document.id,
      ordinal: chunk.ordinal,
      from_character: chunk.from,
      to_character: chunk.to,
      from_line: chunk.fromLine,
      to_line: chunk.toLine,
      heading: JSON.stringify(chunk.heading),
      prefix: chunk.embeddedText.slice(0, chunk.embeddedText.length - text.length),
      text,
      key: chunk.key,
      tokens: chunk.tokens,
    })
    .returning("row")
    .executeTakeFirstOrThrow();
  await tables
    .insertInto("vectors")
    .values({
      chunk_key: chunk.key,
      space_id: collection.space_id,
      vector: storedEmbedding(embedding),
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const { heading, identifiers } = chunk;
  const entry = keywordEntry(document, { row, text, heading }, identifiers);
  await addKeywords(tables, collection.id, entry);
  return { row, id, documentId: document.id, embedding };
}

/** Counts one more change of a collection. Raises NotFoundError when it is gone or lies in the trash. */
export async function nextGeneration(
  tables: Kysely<Tables>,
  collection: Pick<CollectionRow, "id" | "name">,
): Promise<number> {
  const counted = await tables
    .updateTable("collections")
    .set(({ eb }) => ({ generation: eb("generation", "+", 1), updated_at: Date.now() }))
    .where("id", "=", collection.id)
    .where("trash_id", "is", null)
    .returning("generation")
    .executeTakeFirst();
  if (!counted) throw new NotFoundError(`There is no collection "${collection.name}" any more.`);
  return counted.generation;
}

/** Takes a document's chunks and their words out; their vectors stay. */
export async function removeChunks(
  tables: Kysely<Tables>,
  collection: string,
  document: Pick<DocumentRow, "id" | "key" | "title">,
): Promise<{ rows: number[]; keys: string[] }> {
  const chunks = await tables
    .deleteFrom("chunks")
    .where("document_id", "=", document.id)
    .returning(["row", "key", "text", "heading"])
    .execute();
  for (const { row, text, heading } of chunks) {
    const chunk = { row, text, heading: JSON.parse(heading) as string[] };
    await removeKeywords(tables, collection, keywordEntry(document, chunk));
  }
  return { rows: chunks.map(({ row }) => row), keys: chunks.map(({ key }) => key) };
}

/** The error for a key that another source owns: the documents of a folder belong to its sync. */
export function keyTaken(collection: CollectionRow, key: string, root: string | null): Error {
  const owner = root === null ? "a document added by hand" : `the folder ${root}`;
  return new KeyTakenError(
    `The key "${key}" belongs to ${owner} in collection ${collection.name}.`,
  );
}

/** Whether a chunk of the space, or one that the trash keeps, names the vector of the outer query. */
export const isNamed = sql<boolean>`(exists (select 1 from chunks
    join collections on collections.id = chunks.collection_id
    where chunks.key = vectors.chunk_key and collections.space_id = vectors.space_id)
  or exists (select 1 from trashed_chunks
    join collections on collections.id = trashed_chunks.collection_id
    where trashed_chunks.key = vectors.chunk_key and collections.space_id = vectors.space_id))`;

/** Deletes those of these vectors that no chunk needs any more, in the trash or out of it. Returns how many. */
export async function dropUnusedVectors(
  tables: Kysely<Tables>,
  database: Database,
  keys: readonly string[],
): Promise<number> {
  if (keys.length === 0) return 0;
  const { numDeletedRows } = await tables
    .deleteFrom("vectors")
    .where(database.words.idsIn("chunk_key", keys))
    .where(sql<boolean>`not ${isNamed}`)
    .executeTakeFirst();
  return Number(numDeletedRows);
}

function toRow(
  collection: CollectionRow,
  ready: ReadyDocument,
  before: { id: string; created_at: number } | undefined,
): DocumentRow {
  const { prepared } = ready;
  const now = Date.now();
  return {
    id: before?.id ?? newId("doc"),
    collection_id: collection.id,
    key: ready.key,
    title: ready.title ?? prepared.title,
    media_type: prepared.mediaType,
    format: prepared.format,
    language: prepared.language,
    source_kind: ready.source.kind,
    source_path: ready.source.path,
    source_url: ready.source.url,
    root: ready.root,
    bytes: prepared.bytes,
    sha256: prepared.sha256,
    modified_ms: ready.modifiedMs,
    metadata: JSON.stringify(ready.metadata),
    fell_back: prepared.fellBackToLines,
    characters: prepared.text.length,
    chunk_count: prepared.chunks.length,
    indexed_at: now,
    created_at: before?.created_at ?? now,
  };
}
