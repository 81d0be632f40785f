import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { sql } from "kysely";
import type { Principal } from "#base/access/index.ts";
import type { CollectionRow, Database, DocumentRow } from "#base/database/index.ts";
import { InputInvalidError, NotFoundError } from "#base/errors/index.ts";
import type { Deleted } from "./collections.ts";
import { countOwnVectors, type Trashing, trashDocument } from "./trash-rows.ts";
import type { VectorIndex } from "./vector-index.ts";

/** Where a passage stands: characters of the document's text, lines of the original file where it has lines. */
export type Location = {
  lines?: { from: number; to: number };
  characters: { from: number; to: number };
};

/** A document as every door shows it. */
export type Document = {
  id: string;
  key: string;
  collection: string;
  title: string | null;
  mediaType: string;
  source: { kind: "file" | "upload" | "text" | "url"; path?: string; url?: string };
  bytes: number;
  sha256: string;
  metadata: Record<string, unknown>;
  chunks: number | { id: string; text: string; location: Location }[];
  indexedAt: string;
  freshness: Freshness;
};

export type Documents = {
  /** Raises NotFoundError. `named` is an id or a key. */
  find(collection: CollectionRow, named: string): Promise<DocumentRow>;
  list(
    collection: CollectionRow,
    page: { after?: string | undefined; limit: number; prefix?: string | undefined },
  ): Promise<Document[]>;
  get(collection: CollectionRow, named: string, withChunks: boolean): Promise<Document>;
  /** UTF-16 characters `from` to `to`, end exclusive. */
  read(
    collection: CollectionRow,
    named: string,
    range: { from?: number | undefined; to?: number | undefined },
  ): Promise<{ text: string; from: number; to: number; characters: number }>;
  /** Moves it to the trash; a dry run only counts. */
  delete(
    collection: CollectionRow,
    named: string,
    by: Principal,
    dryRun: boolean,
  ): Promise<Deleted>;
};

export function createDocuments(
  database: Database,
  vectors: VectorIndex,
  trashing: (by: Principal) => Trashing,
): Documents {
  const find = async (collection: CollectionRow, named: string): Promise<DocumentRow> => {
    const row = await database.unscoped
      .selectFrom("documents")
      .selectAll()
      .where("collection_id", "=", collection.id)
      .where((is) => is.or([is("id", "=", named), is("key", "=", named)]))
      // A key may look like the id of another document: the id wins.
      .orderBy(sql<boolean>`id = ${named}`, "desc")
      .executeTakeFirst();
    if (!row) throw notThere(collection, named);
    return row;
  };
  return {
    find,
    list: async (collection, { after, limit, prefix }) => {
      let query = database.unscoped
        .selectFrom("documents")
        .selectAll()
        .where("collection_id", "=", collection.id);
      if (after !== undefined) query = query.where("key", ">", after);
      if (prefix !== undefined)
        query = query.where("key", ">=", prefix).where("key", "<", `${prefix}\u{10FFFF}`);
      const rows = await query.orderBy("key").limit(limit).execute();
      return Promise.all(rows.map((row) => toDocument(row)));
    },
    get: async (collection, named, withChunks) => {
      const row = await find(collection, named);
      return toDocument(row, withChunks ? await chunksOf(database, row) : undefined);
    },
    read: async (collection, named, range) => {
      const row = await find(collection, named);
      const { text } = await database.unscoped
        .selectFrom("document_texts")
        .select("text")
        .where("document_id", "=", row.id)
        .executeTakeFirstOrThrow();
      const from = range.from ?? 0;
      const to = Math.min(range.to ?? text.length, text.length);
      if (from > to)
        throw new InputInvalidError(
          `from ${from} lies behind ${range.to === undefined ? "the end" : "to"} ${to}; the text has ${text.length} characters.`,
          { errors: [{ pointer: "/from", message: `at most ${to}` }] },
        );
      return { text: text.slice(from, to), from, to, characters: text.length };
    },
    delete: async (collection, named, by, dryRun) => {
      const row = await find(collection, named);
      if (dryRun) return whatGoes(database, collection, row);
      const { change, answered } = await moveToTrash(database, collection, row, trashing(by));
      vectors.apply(collection.id, change);
      return answered;
    },
  };
}

async function moveToTrash(
  database: Database,
  collection: CollectionRow,
  row: DocumentRow,
  trashing: Trashing,
) {
  return database.write(async ({ tables, answer }) => {
    const trashed = await trashDocument(tables, collection, row.id, trashing);
    if (!trashed) throw notThere(collection, row.key);
    const { change, deleted, undo } = trashed;
    const done: Deleted = { deleted, dependents: [], dryRun: false, undo };
    return { change, answered: await answer(done) };
  });
}

/** Counts what deleting a document would take out of sight. */
async function whatGoes(
  database: Database,
  collection: CollectionRow,
  row: DocumentRow,
): Promise<Deleted> {
  const vectors = await countOwnVectors(database.unscoped, collection.space_id, row.id);
  return {
    deleted: { documents: 1, chunks: row.chunk_count, vectors, bytes: row.bytes },
    dependents: [],
    dryRun: true,
    undo: null,
  };
}

function notThere(collection: CollectionRow, named: string): Error {
  return new NotFoundError(`There is no document "${named}" in collection "${collection.name}".`);
}

async function chunksOf(
  database: Database,
  row: DocumentRow,
): Promise<{ id: string; text: string; location: Location }[]> {
  const chunks = await database.unscoped
    .selectFrom("chunks")
    .selectAll()
    .where("document_id", "=", row.id)
    .orderBy("ordinal")
    .execute();
  return chunks.map((chunk) => ({ id: chunk.id, text: chunk.text, location: toLocation(chunk) }));
}

export function toLocation(chunk: {
  from_line: number | null;
  to_line: number | null;
  from_character: number;
  to_character: number;
}): Location {
  return {
    ...(chunk.from_line === null || chunk.to_line === null
      ? {}
      : { lines: { from: chunk.from_line, to: chunk.to_line } }),
    characters: { from: chunk.from_character, to: chunk.to_character },
  };
}

export async function toDocument(
  row: DocumentRow,
  chunks: Document["chunks"] = row.chunk_count,
): Promise<Document> {
  return {
    id: row.id,
    key: row.key,
    collection: row.collection_id,
    title: row.title,
    mediaType: row.media_type,
    source: {
      kind: row.source_kind,
      ...(row.source_path === null ? {} : { path: row.source_path }),
      ...(row.source_url === null ? {} : { url: row.source_url }),
    },
    bytes: row.bytes,
    sha256: row.sha256,
    metadata: JSON.parse(row.metadata) as Record<string, unknown>,
    chunks,
    indexedAt: new Date(row.indexed_at).toISOString(),
    freshness: await freshness(row),
  };
}

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
