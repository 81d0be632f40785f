import { afterAll, beforeAll, expect, test } from "vitest";
import type { CollectionRow } from "#base/database/index.ts";
import {
  openSearchStore,
  type SearchStore,
} from "../../../test/fixtures/rooms/open-search-store.ts";
import { wordFrequency } from "./keyword-index.ts";
import { markPurging, purgeMarked } from "./purge-trash.ts";
import { countOwnVectors, trashDocument } from "./trash-rows.ts";

let store: SearchStore;
beforeAll(async () => {
  store = await openSearchStore();
});
afterAll(() => store.close());

/** Everything there is of a collection, and all vectors. */
async function held(collection: CollectionRow) {
  const { unscoped } = store.database;
  const rows = async (table: "documents" | "chunks" | "document_texts") =>
    (
      await unscoped
        .selectFrom(table)
        .select("collection_id")
        .where("collection_id", "=", collection.id)
        .execute()
    ).length;
  const vectors = await unscoped.selectFrom("vectors").select("chunk_key").execute();
  return {
    documents: await rows("documents"),
    texts: await rows("document_texts"),
    chunks: await rows("chunks"),
    vectors: vectors.length,
    generation: (await store.now(collection)).generation,
  };
}

/** Moves a document to the trash. */
const drop = (collection: CollectionRow, id: string) =>
  store.database.write(({ tables }) =>
    trashDocument(tables, collection, id, { by: "local", days: 7 }),
  );

/** Removes for good all that lies in the trash. */
async function empty(): Promise<void> {
  const entries = await store.database.unscoped.selectFrom("trash_entries").selectAll().execute();
  await store.database.write(({ tables }) => markPurging(tables, entries));
  await purgeMarked(store.database, entries, new AbortController().signal);
}

test("a write that fails in its transaction leaves nothing", async () => {
  const collection = await store.collection("failing");
  await store.plant(collection, { key: "a", texts: ["kept words"] });
  const before = await held(collection);
  const failing = store.database.write(async (handle) => {
    await store.plantIn(handle, collection, { key: "a", texts: ["replaced words"] });
    await store.plantIn(handle, collection, { key: "b", texts: ["added words"] });
    throw new Error("the disk is gone");
  });
  await expect(failing).rejects.toThrow("the disk is gone");
  expect(await held(collection)).toEqual(before);
  const frequencies = ["kept", "replaced", "added"].map((word) =>
    wordFrequency(store.database, collection.id, word),
  );
  expect(await Promise.all(frequencies)).toEqual([1, 0, 0]);
});

test("a replaced document keeps its id and birth, and leaves no old chunk, text, vector or word", async () => {
  const collection = await store.collection("replacing");
  const empty = await held(collection);
  const first = await store.plant(collection, {
    key: "a",
    texts: ["one old", "two old", "shared"],
  });
  const second = await store.plant(collection, { key: "a", texts: ["three new", "shared"] });
  expect(second.outcome).toBe("replaced");
  expect(second.document).toMatchObject({
    id: first.document.id,
    created_at: first.document.created_at,
    chunk_count: 2,
  });
  expect(second.change.removedRows).toEqual(first.change.added.map(({ row }) => row));
  expect(await held(collection)).toEqual({
    documents: 1,
    texts: 1,
    chunks: 2,
    vectors: empty.vectors + 2,
    generation: 2,
  });
  expect(await wordFrequency(store.database, collection.id, "old")).toBe(0);
});

test("rows of chunks are never used again: a derived index cannot mistake a new one for an old one", async () => {
  const collection = await store.collection("rows");
  const first = await store.plant(collection, { key: "a", texts: ["one"] });
  await drop(collection, first.document.id);
  const second = await store.plant(collection, { key: "a", texts: ["one"] });
  expect(second.change.added[0]?.row).toBeGreaterThan(first.change.added[0]?.row ?? 0);
});

test("a vector of equal text stays until its last chunk goes, in whatever collection", async () => {
  const [one, two] = [await store.collection("sharing-1"), await store.collection("sharing-2")];
  const before = (await held(one)).vectors;
  const a = await store.plant(one, { key: "a", texts: ["equal text", "own text"] });
  const b = await store.plant(two, { key: "b", texts: ["equal text"] });
  expect((await held(one)).vectors).toBe(before + 2);
  expect(await countOwnVectors(store.database.unscoped, store.space.id, a.document.id)).toBe(1);
  expect((await drop(one, a.document.id))?.deleted.vectors).toBe(1);
  expect((await held(one)).vectors).toBe(before + 2);
  await empty();
  expect((await held(one)).vectors).toBe(before + 1);
  await drop(two, b.document.id);
  expect((await held(one)).vectors).toBe(before + 1);
  await store.plant(two, { key: "b", texts: ["equal text"] });
  await empty();
  expect((await held(one)).vectors).toBe(before + 1);
  const again = await store.plant(two, { key: "b", texts: ["other text"] });
  await drop(two, again.document.id);
  await empty();
  expect((await held(one)).vectors).toBe(before);
  expect(await drop(two, b.document.id)).toBeNull();
});

test("a collection that is gone takes no document", async () => {
  const collection = await store.collection("gone");
  await store.database.write(({ tables }) =>
    tables.deleteFrom("collections").where("id", "=", collection.id).execute(),
  );
  await expect(store.plant(collection, { key: "a", texts: ["x"] })).rejects.toMatchObject({
    code: "not_found",
  });
});

test("a key that another source owns is taken, also when both were on their way", async () => {
  const collection = await store.collection("taken");
  await store.plant(collection, { key: "a", texts: ["by hand"] });
  await store.database.write(({ tables }) =>
    tables
      .updateTable("documents")
      .set({ root: "/srv/notes" })
      .where("key", "=", "a")
      .where("collection_id", "=", collection.id)
      .execute(),
  );
  await expect(store.plant(collection, { key: "a", texts: ["other"] })).rejects.toMatchObject({
    code: "key_taken",
    message: 'The key "a" belongs to the folder /srv/notes in collection taken.',
  });
  expect(await wordFrequency(store.database, collection.id, "hand")).toBe(1);
});
