import { type Kysely, sql } from "kysely";
import {
  type CollectionRow,
  newId,
  type Tables,
  type TrashEntryRow,
  type WriteHandle,
} from "#base/database/index.ts";
import { AlreadyExistsError, NotFoundError } from "#base/errors/index.ts";
import { addKeywords, keywordEntry } from "./keyword-index.ts";
import { nextGeneration, removeChunks } from "./store-document.ts";
import type { ContentChange } from "./vector-index.ts";

/** Who deletes, and for how many days it can be undone. */
export type Trashing = { readonly by: string; readonly days: number };

export type Counts = { documents: number; chunks: number; vectors: number; bytes: number };

/** Until when a delete can be undone, and the trash entry that does it. */
export type Undo = { until: string; trash: string };

/** What belongs to a document, column by column: the trash keeps the very same. */
const documentColumns =
  "id collection_id key title media_type format language source_kind source_path source_url root bytes sha256 modified_ms metadata fell_back characters chunk_count indexed_at created_at".split(
    " ",
  );
const chunkColumns =
  "row id collection_id document_id ordinal from_character to_character from_line to_line heading prefix text key tokens".split(
    " ",
  );

/** Each table of a document, where the trash keeps its rows, and the column with the document's id. */
const movedTables = [
  { table: "documents", trashed: "trashed_documents", id: "id", columns: documentColumns },
  {
    table: "document_texts",
    trashed: "trashed_texts",
    id: "document_id",
    columns: ["document_id", "collection_id", "text"],
  },
  { table: "chunks", trashed: "trashed_chunks", id: "document_id", columns: chunkColumns },
] as const;

/** Copies a document's rows from one table into another of the same columns; `instead` gives new values to some. */
async function copyRows(
  tables: Kysely<Tables>,
  move: {
    from: string;
    into: string;
    columns: readonly string[];
    where: readonly [string, string];
  },
  instead: Readonly<Record<string, string | null>> = {},
): Promise<void> {
  const kept = move.columns.filter((column) => !Object.hasOwn(instead, column));
  const given = Object.entries(instead);
  const names = sql.join([...kept, ...given.map(([name]) => name)].map((name) => sql.ref(name)));
  const values = sql.join([
    ...kept.map((name) => sql.ref(name)),
    ...given.map(([, value]) => sql`${value}`),
  ]);
  const [column, id] = move.where;
  await sql`insert into ${sql.table(move.into)} (${names}) select ${values} from ${sql.table(move.from)}
    where ${sql.ref(column)} = ${id}`.execute(tables);
}

/** Opens the trash entry of what the caller's transaction deletes. */
export async function openTrashEntry(
  tables: Kysely<Tables>,
  what: Pick<TrashEntryRow, "kind" | "collection_id" | "thing_id" | "name">,
  counts: Counts,
  { by, days }: Trashing,
): Promise<Undo> {
  const now = Date.now();
  const row = {
    ...what,
    ...counts,
    id: newId("trs"),
    deleted_by: by,
    deleted_at: now,
    expires_at: now + days * 86_400_000,
    purging: 0,
  };
  await tables.insertInto("trash_entries").values(row).execute();
  return { until: new Date(row.expires_at).toISOString(), trash: row.id };
}

/**
 * Moves one document with its text and chunks into the trash, in the caller's transaction: it is in no leg, list or
 * count any more, and its vectors stay for as long as it can be restored. Null when it was not there.
 */
export async function trashDocument(
  tables: Kysely<Tables>,
  collection: CollectionRow,
  documentId: string,
  trashing: Trashing,
): Promise<{ change: ContentChange; deleted: Counts; undo: Undo } | null> {
  const document = await tables
    .selectFrom("documents")
    .select(["id", "key", "title", "bytes", "chunk_count"])
    .where("id", "=", documentId)
    .where("collection_id", "=", collection.id)
    .executeTakeFirst();
  if (!document) return null;
  const generation = await nextGeneration(tables, collection);
  const deleted = {
    documents: 1,
    chunks: document.chunk_count,
    vectors: await countOwnVectors(tables, collection.space_id, documentId),
    bytes: document.bytes,
  };
  const what = {
    kind: "document",
    collection_id: collection.id,
    thing_id: document.id,
    name: document.key,
  } as const;
  const undo = await openTrashEntry(tables, what, deleted, trashing);
  for (const { table, trashed, id, columns } of movedTables)
    await copyRows(
      tables,
      { from: table, into: trashed, columns, where: [id, documentId] },
      trashed === "trashed_documents" ? { trash_id: undo.trash } : {},
    );
  const { rows } = await removeChunks(tables, collection.id, document);
  await tables.deleteFrom("documents").where("id", "=", documentId).execute();
  return { change: { generation, removedRows: rows, added: [] }, deleted, undo };
}

/** How many vectors go out of sight with a document: those that no other chunk of the space needs. */
export async function countOwnVectors(
  tables: Kysely<Tables>,
  space: string,
  document: string,
): Promise<number> {
  const found = await sql<{ count: number }>`select count(*) as count from vectors
    where space_id = ${space} and chunk_key in (select key from chunks where document_id = ${document})
      and not exists (select 1 from chunks join collections on collections.id = chunks.collection_id
        where chunks.key = vectors.chunk_key and collections.space_id = vectors.space_id
          and collections.trash_id is null and chunks.document_id <> ${document})`.execute(tables);
  return Number(found.rows[0]?.count ?? 0);
}

/** An entry with the name that its collection has now. */
export type OpenEntry = TrashEntryRow & { collection_name: string };

export type Restored = {
  kind: TrashEntryRow["kind"];
  id: string;
  name: string;
  collection: { id: string; name: string };
  counts: Counts;
};

/** Takes the entry away for good, in the transaction that restores what it holds. Raises NotFoundError if another one was faster. */
async function closeEntry(tables: Kysely<Tables>, id: string): Promise<void> {
  const { numDeletedRows } = await tables
    .deleteFrom("trash_entries")
    .where("id", "=", id)
    .where("purging", "=", 0)
    .executeTakeFirst();
  if (numDeletedRows === 0n) throw new NotFoundError(`There is no trash entry "${id}".`);
}

/** Brings a collection back into sight, in one small transaction however large it is. */
export async function restoreCollection(
  { tables, answer }: WriteHandle,
  entry: OpenEntry,
  name = entry.name,
): Promise<Restored> {
  const taken = await tables
    .selectFrom("collections")
    .select("id")
    .where("name", "=", name)
    .executeTakeFirst();
  if (taken)
    throw new AlreadyExistsError(`There is a collection "${name}" now.`, {
      errors: [{ pointer: "/name", message: "is taken" }],
      nextStep: {
        text: "Give another `name` to restore it under, or rename the one that is there.",
      },
    });
  await closeEntry(tables, entry.id);
  await tables
    .updateTable("collections")
    .set({ name, trash_id: null })
    .where("trash_id", "=", entry.id)
    .execute();
  return answer(toRestored(entry, name, name));
}

/** Moves a document back with the very rows it had, its words into the keyword table. */
export async function restoreDocument(
  { tables, answer }: WriteHandle,
  entry: OpenEntry,
  key = entry.name,
): Promise<Restored> {
  const taken = await tables
    .selectFrom("documents")
    .select("id")
    .where("collection_id", "=", entry.collection_id)
    .where("key", "=", key)
    .executeTakeFirst();
  if (taken)
    throw new AlreadyExistsError(`There is a document "${key}" in the collection now.`, {
      errors: [{ pointer: "/key", message: "is taken" }],
      nextStep: {
        text: "Give another `key` to restore it under, or delete the one that is there.",
      },
    });
  await nextGeneration(tables, { id: entry.collection_id, name: entry.collection_name });
  // Under another key it is no copy of the synced file any more, and no sync may take it away again.
  const instead = key === entry.name ? {} : { key, root: null };
  for (const { table, trashed, id, columns } of movedTables)
    await copyRows(
      tables,
      { from: trashed, into: table, columns, where: [id, entry.thing_id] },
      table === "documents" ? instead : {},
    );
  await addWords(tables, entry.collection_id, entry.thing_id);
  await closeEntry(tables, entry.id);
  return answer(toRestored(entry, key, entry.collection_name));
}

/** Puts a restored document's words back into its collection's keyword table. */
async function addWords(tables: Kysely<Tables>, collection: string, id: string): Promise<void> {
  const document = await tables
    .selectFrom("documents")
    .select(["title", "key"])
    .where("id", "=", id)
    .executeTakeFirstOrThrow();
  const chunks = await tables
    .selectFrom("chunks")
    .select(["row", "text", "heading"])
    .where("document_id", "=", id)
    .orderBy("ordinal")
    .execute();
  for (const { row, text, heading } of chunks) {
    const chunk = { row, text, heading: JSON.parse(heading) as string[] };
    await addKeywords(tables, collection, keywordEntry(document, chunk));
  }
}

function toRestored(entry: OpenEntry, name: string, collectionName: string): Restored {
  const { documents, chunks, vectors, bytes } = entry;
  return {
    kind: entry.kind,
    id: entry.thing_id,
    name,
    collection: { id: entry.collection_id, name: collectionName },
    counts: { documents, chunks, vectors, bytes },
  };
}
