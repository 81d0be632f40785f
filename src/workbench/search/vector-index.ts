import { setImmediate as nextTurn } from "node:timers/promises";
import { sql } from "kysely";
import type { CollectionRow, Database } from "#base/database/index.ts";
import type { Ledger } from "#base/ledger/index.ts";
import { SpaceInvalidError, SpaceMismatchError } from "#base/errors/index.ts";
import { type Embedding, readEmbedding, type Space, spaceOf } from "#engine/embeddings/index.ts";

/** Rows read from the database before other work gets a turn: about 15 ms at 256 dims. */
const rowsPerTurn = 1000;

/** Rows scanned before other work gets a turn: about 5 ms at 256 dims. */
const rowsPerScan = 16_000;

/** Collections whose vectors stay in memory; the least recently searched leaves first. */
const collectionsInMemory = 32;

/** A change of a collection's content, told after COMMIT. `rows` are chunk rows. */
export type ContentChange = {
  readonly generation: number;
  readonly removedRows: readonly number[];
  readonly added: readonly {
    row: number;
    id: string;
    documentId: string;
    embedding: Embedding;
  }[];
};

type Loaded = {
  generation: number;
  /** Changes that came before the one that they follow on, by generation. */
  early: Map<number, ContentChange>;
  space: string;
  dims: number;
  /** How many places are in use; removed ones have an empty id until they are packed away. */
  count: number;
  removed: number;
  rows: number[];
  ids: string[];
  documents: string[];
  /** `[places, dims]`, row after row. */
  values: Float32Array;
  places: Map<number, number>;
};

export type VectorMatch = { readonly row: number; readonly id: string; readonly score: number };

export type VectorIndex = {
  /** The best `limit` chunks by cosine, best first, ties by id. */
  scan(
    collection: CollectionRow,
    space: Space,
    query: Embedding,
    options: { limit: number; documents: readonly string[] | null },
  ): Promise<VectorMatch[]>;
  /** Follows a committed change without reading the collection again. */
  apply(collection: string, change: ContentChange): void;
  forget(collection: string): void;
};

/**
 * Exact search over a collection's vectors, kept in memory from its first search on. The rows in the database are the
 * truth: what is kept here names the generation it holds and is read again when it does not follow on.
 */
export function createVectorIndex(database: Database): VectorIndex {
  const loaded = new Map<string, Promise<Loaded>>();

  const current = async (collection: CollectionRow, space: Space): Promise<Loaded> => {
    for (;;) {
      const kept = loaded.get(collection.id);
      if (kept) {
        const held = await kept;
        if (held.space === space.id && held.generation >= collection.generation) {
          loaded.delete(collection.id);
          loaded.set(collection.id, kept);
          return held;
        }
        if (loaded.get(collection.id) === kept) loaded.delete(collection.id);
        continue;
      }
      const reading = readVectors(database, collection.id, space);
      loaded.set(collection.id, reading);
      for (const oldest of loaded.keys()) {
        if (loaded.size <= collectionsInMemory) break;
        loaded.delete(oldest);
      }
      try {
        return await reading;
      } catch (thrown) {
        if (loaded.get(collection.id) === reading) loaded.delete(collection.id);
        throw thrown;
      }
    }
  };

  return {
    scan: async (collection, space, query, { limit, documents }) => {
      if (spaceOf(query) !== space.id)
        throw new SpaceMismatchError(
          `The query is of space ${spaceOf(query)}, collection ${collection.name} of ${space.id}.`,
        );
      const held = await current(collection, space);
      return scanLoaded(held, query, limit, documents);
    },
    apply: (collection, change) => {
      // While the rows are being read the change waits, and follows what they showed.
      const kept = loaded.get(collection);
      if (!kept) return;
      void kept.then(
        (held) => follow(held, change),
        // The search that reads them is told; there is nothing that could follow.
        () => undefined,
      );
    },
    forget: (collection) => {
      loaded.delete(collection);
    },
  };
}

/** Chunks without their vector, by collection: an entry in the ledger each. The semantic leg of those collections fails. */
export async function reportLostVectors(database: Database, ledger: Ledger): Promise<void> {
  if (database.found.checked === "checksums") return;
  const lost = await database.unscoped
    .selectFrom("chunks")
    .innerJoin("collections", "collections.id", "chunks.collection_id")
    .leftJoin("vectors", (join) =>
      join
        .onRef("vectors.chunk_key", "=", "chunks.key")
        .onRef("vectors.space_id", "=", "collections.space_id"),
    )
    .where("vectors.chunk_key", "is", null)
    .select(({ fn }) => ["collections.id", "collections.name", fn.countAll<number>().as("count")])
    .groupBy("collections.id")
    .execute();
  for (const { id, name, count } of lost)
    await ledger.record(
      new SpaceInvalidError(
        `${count} chunks of collection ${name} have no vector. Delete their documents and index them again.`,
      ),
      { facts: { collection: id } },
    );
}

async function readVectors(database: Database, collection: string, space: Space): Promise<Loaded> {
  const { generation } = await database.unscoped
    .selectFrom("collections")
    .select("generation")
    .where("id", "=", collection)
    .executeTakeFirstOrThrow();
  const held = emptyIndex(space, generation);
  // In the order of the index by key: any other would sort the whole collection, vectors and all, for every page.
  let after = { key: "", row: 0 };
  for (;;) {
    const rows = await database.unscoped
      .selectFrom("chunks")
      .leftJoin("vectors", (join) =>
        join.onRef("vectors.chunk_key", "=", "chunks.key").on("vectors.space_id", "=", space.id),
      )
      .select(["chunks.row", "chunks.id", "chunks.document_id", "chunks.key", "vectors.vector"])
      .where("chunks.collection_id", "=", collection)
      .where(sql<boolean>`(chunks.key, chunks.row) > (${after.key}, ${after.row})`)
      .orderBy("chunks.key")
      .orderBy("chunks.row")
      .limit(rowsPerTurn)
      .execute();
    for (const { row, id, document_id: documentId, vector } of rows) {
      // A chunk is stored together with its vector: to leave it out would pass a part off as the whole.
      if (!vector)
        throw new SpaceInvalidError(
          `Chunk ${id} has no vector in space ${space.name}. Delete its document and index it again.`,
        );
      append(held, { row, id, documentId, embedding: readEmbedding(space, vector) });
    }
    after = rows.at(-1) ?? after;
    if (rows.length < rowsPerTurn) return held;
    await nextTurn();
  }
}

function emptyIndex(space: Pick<Space, "id" | "dims">, generation: number): Loaded {
  return {
    generation,
    early: new Map(),
    space: space.id,
    dims: space.dims,
    count: 0,
    removed: 0,
    rows: [],
    ids: [],
    documents: [],
    values: new Float32Array(0),
    places: new Map(),
  };
}

/**
 * Takes up a change in the order of generations: one that the rows already showed is passed over, one that came too
 * early waits for those before it. While one is missing the generation stays behind, and the next search reads again.
 */
function follow(held: Loaded, change: ContentChange): void {
  if (change.generation <= held.generation) return;
  held.early.set(change.generation, change);
  for (
    let next = held.early.get(held.generation + 1);
    next !== undefined;
    next = held.early.get(held.generation + 1)
  ) {
    held.early.delete(next.generation);
    held.generation = next.generation;
    takeUp(held, next);
  }
  if (held.removed > 1000 && held.removed * 5 > held.count) pack(held);
}

function takeUp(held: Loaded, change: ContentChange): void {
  for (const row of change.removedRows) {
    const place = held.places.get(row);
    if (place === undefined) continue;
    held.places.delete(row);
    held.ids[place] = "";
    held.removed += 1;
  }
  for (const entry of change.added) append(held, entry);
}

function append(held: Loaded, entry: ContentChange["added"][number]): void {
  if (held.places.has(entry.row)) return;
  const { dims } = held;
  const place = held.count;
  if ((place + 1) * dims > held.values.length) {
    const grown = new Float32Array(Math.max(256, Math.ceil(place * 1.5)) * dims);
    grown.set(held.values);
    held.values = grown;
  }
  held.values.set(entry.embedding, place * dims);
  held.rows[place] = entry.row;
  held.ids[place] = entry.id;
  held.documents[place] = entry.documentId;
  held.places.set(entry.row, place);
  held.count += 1;
}

/** Leaves removed places out, in new arrays: a scan that began on the old ones ends on them. */
function pack(held: Loaded): void {
  const { dims, ids, rows, documents, values } = held;
  const packed = emptyIndex({ id: held.space, dims }, held.generation);
  packed.early = held.early;
  packed.values = new Float32Array((held.count - held.removed) * dims);
  for (let place = 0; place < held.count; place += 1) {
    if (ids[place] === "") continue;
    const to = packed.count;
    packed.values.set(values.subarray(place * dims, (place + 1) * dims), to * dims);
    packed.rows[to] = rows[place] ?? 0;
    packed.ids[to] = ids[place] ?? "";
    packed.documents[to] = documents[place] ?? "";
    packed.places.set(packed.rows[to] ?? 0, to);
    packed.count += 1;
  }
  Object.assign(held, packed);
}

async function scanLoaded(
  held: Loaded,
  query: Embedding,
  limit: number,
  documents: readonly string[] | null,
): Promise<VectorMatch[]> {
  const allowed = documents === null ? null : new Set(documents);
  const { values, ids, rows, count } = held;
  const documentOf = held.documents;
  const scores = new Float32Array(count);
  for (let from = 0; from < count; from += rowsPerScan) {
    if (from > 0) await nextTurn();
    scoreRows(values, query, scores, from, Math.min(count, from + rowsPerScan));
  }
  const sought = (place: number) =>
    ids[place] !== "" && (allowed === null || allowed.has(documentOf[place] ?? ""));
  return bestPlaces(scores, sought, limit, ids).map((place) => ({
    row: rows[place] ?? 0,
    id: ids[place] ?? "",
    score: scores[place] ?? 0,
  }));
}

/** Dot products of rows `first` to `last` of `matrix` with `vector`; four rows at a time share each component. */
function scoreRows(
  matrix: Float32Array,
  vector: Float32Array,
  into: Float32Array,
  first: number,
  last: number,
): void {
  const dims = vector.length;
  for (let row = first; row < last; row += 4) {
    // The last rows may be fewer than four: their neighbours before them are computed twice instead.
    const start = Math.max(0, Math.min(row, last - 4));
    const at = start * dims;
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let index = 0; index < dims; index += 1) {
      const component = vector[index] as number;
      a += (matrix[at + index] as number) * component;
      b += (matrix[at + dims + index] as number) * component;
      c += (matrix[at + 2 * dims + index] as number) * component;
      d += (matrix[at + 3 * dims + index] as number) * component;
    }
    into[start] = a;
    into[start + 1] = b;
    into[start + 2] = c;
    into[start + 3] = d;
  }
}

/** The `limit` places of highest score among those sought, best first, ties by id. */
function bestPlaces(
  scores: Float32Array,
  sought: (place: number) => boolean,
  limit: number,
  ids: readonly string[],
): number[] {
  const compare = (a: number, b: number) =>
    (scores[b] ?? 0) - (scores[a] ?? 0) || ((ids[a] ?? "") < (ids[b] ?? "") ? -1 : 1);
  let kept: number[] = [];
  let least = -Infinity;
  for (let place = 0; place < scores.length; place += 1) {
    if ((scores[place] ?? 0) < least || !sought(place)) continue;
    kept.push(place);
    // Sorting once in a while and forgetting the rest costs less than keeping a heap for every row.
    if (kept.length >= limit * 4) {
      kept = kept.sort(compare).slice(0, limit);
      least = scores[kept.at(-1) ?? 0] ?? -Infinity;
    }
  }
  return kept.sort(compare).slice(0, limit);
}
