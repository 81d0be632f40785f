import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CollectionRow } from "#base/database/index.ts";
import { cosine, readEmbedding } from "#engine/embeddings/index.ts";
import {
  openSearchStore,
  plantedVector,
  type Planted,
  type SearchStore,
} from "../../../test/fixtures/rooms/open-search-store.ts";
import { trashDocument } from "./trash-rows.ts";
import { type ContentChange, createVectorIndex, type VectorIndex } from "./vector-index.ts";

let store: SearchStore;
beforeAll(async () => {
  store = await openSearchStore();
});
afterAll(() => store.close());

let names = 0;
const newCollection = () => store.collection(`vectors-${(names += 1)}`);

const query = () => plantedVector(store.space, "the query");

async function scan(
  index: VectorIndex,
  collection: CollectionRow,
  options: { limit?: number; documents?: readonly string[] | null } = {},
) {
  const { limit = 10_000, documents = null } = options;
  const row = await store.now(collection);
  return index.scan(row, store.space, query(), { limit, documents });
}

/** What an index that was never told anything finds. */
const fresh = async (collection: CollectionRow) =>
  await scan(createVectorIndex(store.database), collection);

async function change(
  index: VectorIndex | null,
  collection: CollectionRow,
  planted: Planted,
): Promise<ContentChange> {
  const stored = await store.plant(collection, planted);
  index?.apply(collection.id, stored.change);
  return stored.change;
}

async function remove(
  index: VectorIndex | null,
  collection: CollectionRow,
  key: string,
): Promise<ContentChange | null> {
  const removed = await store.database.write(async ({ tables }) => {
    const row = await tables
      .selectFrom("documents")
      .select("id")
      .where("collection_id", "=", collection.id)
      .where("key", "=", key)
      .executeTakeFirst();
    if (!row) return null;
    const trashed = await trashDocument(tables, collection, row.id, { by: "local", days: 7 });
    return trashed?.change ?? null;
  });
  if (removed) index?.apply(collection.id, removed);
  return removed;
}

const textsOf = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => `text ${from + index}`);

describe("a scan", () => {
  test("is the naive ranking by cosine, ties by id, cut at the limit, and knows every row", async () => {
    const collection = await newCollection();
    await store.plant(collection, { key: "a", texts: [...textsOf(0, 60), "same", "same"] });
    await store.plant(collection, { key: "b", texts: ["same", ...textsOf(100, 20)] });
    const chunks = await store.database.unscoped
      .selectFrom("chunks")
      .select(["id", "row", "text"])
      .where("collection_id", "=", collection.id)
      .execute();
    const naive = chunks
      .map(({ id, row, text }) => ({
        id,
        row,
        score: Math.fround(cosine(query(), plantedVector(store.space, text))),
      }))
      .toSorted((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1));
    const index = createVectorIndex(store.database);
    for (const limit of [1, 2, 30, 83, 1000]) {
      const matches = await scan(index, collection, { limit });
      expect(matches.map(({ id }) => id)).toEqual(naive.slice(0, limit).map(({ id }) => id));
      for (const [place, { score }] of matches.entries())
        expect(score).toBeCloseTo(naive[place]?.score ?? Number.NaN, 6);
    }
  });

  test("among some documents finds and knows theirs only", async () => {
    const collection = await newCollection();
    await store.plant(collection, { key: "a", texts: textsOf(0, 3) });
    const b = await store.plant(collection, { key: "b", texts: textsOf(3, 2) });
    const index = createVectorIndex(store.database);
    const matches = await scan(index, collection, { documents: [b.document.id] });
    const rows = b.change.added.map(({ row }) => row);
    expect(new Set(matches.map(({ row }) => row))).toEqual(new Set(rows));
    expect(matches).toHaveLength(rows.length);
    expect(await scan(index, collection, { documents: [] })).toEqual([]);
  });

  test("of an empty collection finds nothing", async () => {
    expect(await fresh(await newCollection())).toEqual([]);
  });

  test("with a vector of another space is refused before anything is read", async () => {
    const other = { ...store.space, id: "spc_other" };
    const foreign = plantedVector(other, "x");
    const collection = await newCollection();
    const index = createVectorIndex(store.database);
    const options = { limit: 1, documents: null };
    await expect(index.scan(collection, store.space, foreign, options)).rejects.toMatchObject({
      code: "space_mismatch",
    });
  });

  test("over a stored vector that is none is an error, until the row is right again", async () => {
    const collection = await newCollection();
    const { change: planted } = await store.plant(collection, { key: "a", texts: ["broken one"] });
    const setVector = (vector: Uint8Array) =>
      store.database.write(({ tables }) =>
        tables
          .updateTable("vectors")
          .set({ vector })
          .where("chunk_key", "in", (select) =>
            select.selectFrom("chunks").select("key").where("collection_id", "=", collection.id),
          )
          .execute(),
      );
    const index = createVectorIndex(store.database);
    for (const bad of [new Uint8Array(12), new Uint8Array(16)]) {
      await setVector(bad);
      await expect(scan(index, collection)).rejects.toMatchObject({ code: "space_invalid" });
    }
    const right = new Float32Array([1, 0, 0, 0]);
    expect(readEmbedding(store.space, new Uint8Array(right.buffer))).toHaveLength(4);
    await setVector(new Uint8Array(right.buffer));
    expect(await scan(index, collection)).toHaveLength(planted.added.length);
  });
});

describe("changes", () => {
  test("are followed without being told twice: add, replace, delete", async () => {
    const collection = await newCollection();
    const index = createVectorIndex(store.database);
    await change(index, collection, { key: "a", texts: textsOf(0, 3) });
    expect(await scan(index, collection)).toHaveLength(3);
    await change(index, collection, { key: "b", texts: textsOf(10, 2) });
    await change(index, collection, { key: "a", texts: textsOf(20, 1) });
    expect(await scan(index, collection)).toEqual(await fresh(collection));
    await remove(index, collection, "b");
    expect(await scan(index, collection)).toEqual(await fresh(collection));
  });

  test("that nobody told are seen by the generation, and read", async () => {
    const collection = await newCollection();
    const index = createVectorIndex(store.database);
    await change(index, collection, { key: "a", texts: textsOf(0, 3) });
    await scan(index, collection);
    await change(null, collection, { key: "b", texts: textsOf(10, 2) });
    expect(await scan(index, collection)).toEqual(await fresh(collection));
    await change(null, collection, { key: "b", texts: textsOf(30, 2) });
    await change(index, collection, { key: "c", texts: textsOf(40, 1) });
    expect(await scan(index, collection)).toEqual(await fresh(collection));
  });

  test("told in another order than they were committed leave no trace of what was replaced", async () => {
    const collection = await newCollection();
    const index = createVectorIndex(store.database);
    await change(index, collection, { key: "a", texts: textsOf(0, 2) });
    await scan(index, collection);
    const first = await change(null, collection, { key: "a", texts: textsOf(10, 2) });
    const second = await change(null, collection, { key: "a", texts: textsOf(20, 2) });
    const third = await remove(null, collection, "a");
    for (const late of [third, second, first]) if (late) index.apply(collection.id, late);
    expect(await scan(index, collection)).toEqual([]);
  });

  test("while the rows are being read are followed", async () => {
    const collection = await newCollection();
    await store.plant(collection, { key: "large", texts: textsOf(0, 4100) });
    await store.plant(collection, { key: "small", texts: textsOf(5000, 2) });
    const index = createVectorIndex(store.database);
    const during = scan(index, collection);
    await Promise.all([
      change(index, collection, { key: "small", texts: textsOf(6000, 3) }),
      change(index, collection, { key: "new", texts: textsOf(7000, 2) }),
      remove(index, collection, "large"),
    ]);
    await during;
    const after = await scan(index, collection);
    expect(after).toEqual(await fresh(collection));
    expect(after).toHaveLength(5);
  });

  test("that remove most of it leave the rest in place, also for a scan that runs", async () => {
    const collection = await newCollection();
    const index = createVectorIndex(store.database);
    await change(index, collection, { key: "rest", texts: textsOf(0, 5) });
    await change(index, collection, { key: "most", texts: textsOf(100, 1500) });
    const running = scan(index, collection);
    await remove(index, collection, "most");
    await running;
    expect(await scan(index, collection)).toEqual(await fresh(collection));
    await change(index, collection, { key: "more", texts: textsOf(5000, 3) });
    expect(await scan(index, collection)).toHaveLength(8);
  });

  test("a forgotten collection is read again", async () => {
    const collection = await newCollection();
    const index = createVectorIndex(store.database);
    await change(index, collection, { key: "a", texts: textsOf(0, 2) });
    await scan(index, collection);
    index.forget(collection.id);
    expect(await scan(index, collection)).toHaveLength(2);
  });

  test("more collections than fit in memory are all right", async () => {
    const index = createVectorIndex(store.database);
    const collections: CollectionRow[] = [];
    for (let count = 0; count < 34; count += 1) {
      const collection = await newCollection();
      await change(index, collection, { key: "a", texts: [`only ${count}`] });
      await scan(index, collection);
      collections.push(collection);
    }
    const [first] = collections;
    if (first) await change(index, first, { key: "b", texts: ["later"] });
    for (const [place, collection] of collections.entries())
      expect(await scan(index, collection)).toHaveLength(place === 0 ? 2 : 1);
  });

  test("in any sequence, scanned or not in between, equal a fresh load", async () => {
    const key = fc.constantFrom("a", "b", "c", "d");
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("put"),
        key,
        count: fc.integer({ min: 1, max: 4 }),
        told: fc.boolean(),
      }),
      fc.record({ kind: fc.constant("remove"), key, count: fc.constant(0), told: fc.boolean() }),
      fc.record({ kind: fc.constant("scan"), key, count: fc.constant(0), told: fc.constant(true) }),
    );
    let serial = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
        const collection = await newCollection();
        const index = createVectorIndex(store.database);
        const running: Promise<unknown>[] = [];
        for (const { kind, key: named, count, told } of steps) {
          const teller = told ? index : null;
          if (kind === "scan") running.push(scan(index, collection));
          else if (kind === "remove") await remove(teller, collection, named);
          else
            await change(teller, collection, { key: named, texts: textsOf((serial += 10), count) });
        }
        await Promise.all(running);
        expect(await scan(index, collection)).toEqual(await fresh(collection));
      }),
      { numRuns: 30 },
    );
  });
});
