import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collectionsCreate } from "#operations/collections/create.ts";
import { documentsAddBatch } from "#operations/documents/add-batch.ts";
import { documentsDelete } from "#operations/documents/delete.ts";
import { searchQuery } from "#operations/search/query.ts";
import { type Found, type Handbook, keysOf, modes, openHandbook } from "./handbook.ts";

let book: Handbook;
beforeAll(async () => {
  book = await openHandbook();
});
afterAll(() => book.room.close());

const search: Handbook["search"] = (query, input) => book.search(query, input);
const add: Handbook["add"] = (...document) => book.add(...document);

describe("spaces", () => {
  beforeAll(async () => {
    await book.room.call(collectionsCreate, { name: "small", space: "static-16" });
    await add("small", "cat", "cat");
  });

  test("others than the default one are left out, and named", async () => {
    const found = await book.room.call(searchQuery, { query: "cat" });
    expect(found.searched.collections).toBe(1);
    expect(found.notices).toMatchObject([
      { code: "collections_left_out", details: { collections: ["small"] } },
    ]);
  });

  test("two of them do not mix: the error names the collections", async () => {
    for (const mode of ["hybrid", "semantic"] as const)
      await expect(
        search("cat", { mode, collections: ["handbook", "small"] }),
      ).rejects.toMatchObject({
        code: "space_mismatch",
        status: 409,
        details: { collections: [{ name: "handbook" }, { name: "small" }] },
      });
  });

  test("by words alone all are searched together", async () => {
    const input = { query: "cat", mode: "keyword" as const };
    for (const collections of [undefined, ["small", "handbook"]]) {
      const found = await book.room.call(searchQuery, { ...input, collections });
      expect(keysOf(found)).toEqual(["cat"]);
      expect(found.searched.collections).toBe(2);
      expect(found.notices).toEqual([]);
    }
  });

  test("a named one is searched in its own space; a long query says how much was read", async () => {
    const query = Array.from({ length: 30 }, () => "cat").join(" ");
    const found = await search(query, { collections: ["small"], mode: "semantic" });
    expect(found.space.name).toBe("static-16");
    expect(found.items[0]?.scores.semantic).toBeCloseTo(1, 5);
    expect(found.notices).toMatchObject([
      { code: "input_truncated", details: { tokens: 30, limit: 16 } },
    ]);
  });
});

describe("more than is ranked", () => {
  test("paging ends with a notice that says so", async () => {
    await book.room.call(collectionsCreate, { name: "many" });
    const { job } = await book.room.call(documentsAddBatch, {
      collection: "many",
      documents: Array.from({ length: 1000 }, (_, index) => ({
        key: `k${index}`,
        content: `pelican number ${index}`,
      })),
      batchSize: 100,
    });
    const busy = await search("pelican", { collections: ["many"] });
    expect(busy.notices).toMatchObject([
      { code: "still_indexing", details: { collection: "many", job: job.id } },
    ]);
    expect(await book.room.ended(job)).toMatchObject({ state: "succeeded", done: 1000 });
    const seen = new Set<string>();
    let cursor: string | null = null;
    let last: Found;
    do {
      last = await search("pelican", {
        collections: ["many"],
        limit: 100,
        ...(cursor ? { cursor } : {}),
      });
      for (const { chunk } of last.items) seen.add(chunk);
      cursor = last.nextCursor;
      if (cursor) expect(last.notices).toEqual([]);
    } while (cursor);
    expect(last.notices).toMatchObject([{ code: "hits_limited" }]);
    expect(seen.size).toBeGreaterThanOrEqual(100);
    expect(last.searched.documents).toBe(1000);
  });
});

describe("a leg that cannot run", () => {
  const inLedger = async (code: string) =>
    (
      await book.room.app.database.read
        .selectFrom("ledger_entries")
        .select("id")
        .where("code", "=", code)
        .execute()
    ).length;
  let table: string;

  beforeAll(async () => {
    const { id } = await book.room.call(collectionsCreate, { name: "broken" });
    table = `words_${id.toLowerCase()}`;
    await add("broken", "a", "cormorants dry their wings");
    await book.room.app.database.write(({ tables }) =>
      tables
        .updateTable("vectors")
        .set({ vector: new Uint8Array(1024) })
        .where("chunk_key", "in", (select) =>
          select.selectFrom("chunks").select("key").where("collection_id", "=", id),
        )
        .execute(),
    );
  });

  test("the semantic one: keywords alone, with a notice and a ledger entry; asked alone it is the error", async () => {
    const before = await inLedger("space_invalid");
    const found = await search("cormorants", { collections: ["broken"] });
    expect(keysOf(found)).toEqual(["a"]);
    expect(found.legs).toMatchObject([
      {
        name: "semantic",
        state: "failed",
        candidates: 0,
        reason: expect.stringContaining("space_invalid"),
      },
      { name: "keyword", state: "run", candidates: 1 },
    ]);
    expect(found.items[0]?.scores).toEqual({ fused: 1, keyword: found.items[0]?.scores.keyword });
    expect(found.notices).toMatchObject([
      { code: "keyword_only", details: { ledgerId: expect.stringMatching(/^led_/) } },
    ]);
    expect(await inLedger("space_invalid")).toBe(before + 1);
    const input = { mode: "semantic" as const, collections: ["broken"] };
    await expect(search("cormorants", input)).rejects.toMatchObject({ code: "space_invalid" });
    const weighed = search("cormorants", { weight: 1, collections: ["broken"] });
    await expect(weighed).rejects.toMatchObject({ code: "space_invalid" });
  });

  test("both: the search fails with a code, never an empty success", async () => {
    await book.room.app.database.write(({ tables }) =>
      sql`drop table ${sql.table(table)}`.execute(tables),
    );
    await expect(search("cormorants", { collections: ["broken"] })).rejects.toMatchObject({
      code: "search_failed",
      details: { legs: [{ name: "semantic" }, { name: "keyword" }] },
    });
    const keyword = search("cormorants", { mode: "keyword", collections: ["broken"] });
    await expect(keyword).rejects.toMatchObject({ code: "keyword_index_damaged", status: 503 });
  });

  test("the keyword one: meaning alone, with a notice", async () => {
    const { id } = await book.room.call(collectionsCreate, { name: "wordless" });
    await add("wordless", "a", "cormorants dry their wings and rest");
    await book.room.app.database.write(({ tables }) =>
      sql`drop table ${sql.table(`words_${id.toLowerCase()}`)}`.execute(tables),
    );
    const found = await search("cormorants", { collections: ["wordless"] });
    expect(keysOf(found)).toEqual(["a"]);
    expect(found.notices).toMatchObject([{ code: "semantic_only" }]);
    expect(found.items[0]?.scores).not.toHaveProperty("keyword");
  });

  test("a caller who went away is a cancelled search, not half an answer", async () => {
    const gone = book.room.call(
      searchQuery,
      { query: "gannets", collections: ["handbook"] },
      undefined,
      AbortSignal.abort(),
    );
    await expect(gone).rejects.toMatchObject({ code: "cancelled" });
  });
});

test("after a restart the same is found, and documents can be added at once", async () => {
  const questions = modes.map((mode) => ({
    query: "restore the database",
    mode,
    collections: ["handbook"],
  }));
  const before = [];
  for (const input of questions) before.push((await book.room.call(searchQuery, input)).items);
  await book.room.app.close();
  book = await openHandbook(book.room.folder);
  const added = await add("handbook", "first", "the first thing after a restart");
  expect(added.outcome).toBe("added");
  await book.room.call(documentsDelete, { collection: "handbook", document: "first" });
  for (const [index, input] of questions.entries())
    expect((await book.room.call(searchQuery, input)).items).toEqual(before[index]);
});
