import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { documentsDelete } from "#operations/documents/delete.ts";
import { documentsRead } from "#operations/documents/read.ts";
import { searchQuery } from "#operations/search/query.ts";
import { spacesGet } from "#operations/spaces/get.ts";
import { type Found, type Handbook, handbook, keysOf, modes, openHandbook } from "./handbook.ts";
import { keyPrincipal } from "../fixtures/rooms/principals.ts";

let book: Handbook;
beforeAll(async () => {
  book = await openHandbook();
});
afterAll(() => book.room.close());

const search: Handbook["search"] = (query, input) => book.search(query, input);
const add: Handbook["add"] = (...document) => book.add(...document);

describe("any combination of switches finds the planted document", () => {
  const inputs = modes.flatMap((mode) =>
    [undefined, 0, 0.5, 1].flatMap((weight) =>
      [undefined, ["handbook"]].flatMap((collections) =>
        [undefined, { field: "key", op: "contains" as const, value: ".txt" }].map((filter) => ({
          mode,
          ...(weight === undefined ? {} : { weight }),
          collections,
          filter,
        })),
      ),
    ),
  );

  test.each(inputs)("%j", async (input) => {
    const found = await search("puffins dig burrows", input);
    expect(found.items[0]).toMatchObject({
      key: "birds.txt",
      snippet: expect.stringContaining("Puffins"),
    });
  });
});

describe("an answer", () => {
  test("says what was searched, how, and where each hit stands", async () => {
    const found = await search("restore the database", { limit: 2 });
    expect(found.searched).toMatchObject({ collections: 1, documents: 6 });
    const space = await book.room.call(spacesGet, { space: found.space.id });
    expect(found.weight).toBe(space.fusionWeight ?? 0.5);
    expect(found.space.name).toBe("candor-static-256");
    expect(found.legs).toMatchObject([
      { name: "semantic", state: "run", approximate: false },
      { name: "keyword", state: "run", approximate: false },
    ]);
    const [hit] = found.items;
    if (!hit) throw new Error("nothing found");
    expect(hit).toMatchObject({
      key: "backup.md",
      title: "Backups",
      ranks: { semantic: 1, keyword: 1 },
      scores: { fused: 1 },
      freshness: { state: "current" },
    });
    const { from, to } = hit.location.characters;
    const read = await book.room.call(documentsRead, {
      collection: "handbook",
      document: hit.document,
      from,
      to,
    });
    expect(read.text).toContain(hit.snippet);
    const { lines } = hit.location;
    const inLines = handbook["backup.md"].split("\n").slice((lines?.from ?? 0) - 1, lines?.to);
    expect(inLines.join("\n")).toContain(hit.snippet);
    for (const [start, end] of hit.highlights)
      expect(hit.snippet.slice(start, end).toLowerCase()).toMatch(/^(restore|database)s?$/);
    expect(hit.highlights.length).toBeGreaterThan(0);
  });

  test("is the same on every retry", async () => {
    for (const mode of modes) {
      const [first, second] = [
        await search("lost key", { mode }),
        await search("lost key", { mode }),
      ];
      expect(second.items).toEqual(first.items);
    }
  });

  test("is the same for one and for twenty-five at the same time", async () => {
    const queries = Array.from(
      { length: 25 },
      (_, index) => ["restore", "puffins", "header", "Café"][index % 4] ?? "",
    );
    const alone = new Map<string, Found["items"]>();
    for (const query of queries.slice(0, 4)) alone.set(query, (await search(query)).items);
    const together = await Promise.all(queries.map((query) => search(query)));
    for (const [index, found] of together.entries())
      expect(found.items).toEqual(alone.get(queries[index] ?? ""));
  });

  test("without a hit is an empty list, not an error", async () => {
    const found = await search("zyzzyva", { mode: "keyword" });
    expect(found).toMatchObject({ items: [], nextCursor: null, notices: [] });
    expect(found.legs[1]).toMatchObject({ state: "run", candidates: 0 });
  });

  test("finds stems, accents and parts of identifiers by words", async () => {
    expect(keysOf(await search("restoring", { mode: "keyword" }))).toEqual(["backup.md"]);
    expect(keysOf(await search("cafe kochin", { mode: "keyword" }))).toEqual(["kueche.txt"]);
    expect(keysOf(await search("header", { mode: "keyword" }))).toEqual(["parse.py"]);
    expect(keysOf(await search("parseHeader", { mode: "keyword" }))).toEqual(["parse.py"]);
  });
});

describe("each parameter takes effect", () => {
  test("weight: 0 and 1 are exactly the pure legs, the rest lies between", async () => {
    for (const query of ["restore a model", "key database header", "birds"]) {
      const shape = ({ items }: Found, leg: "semantic" | "keyword") =>
        items.map(({ chunk, scores, ranks }) => [chunk, scores[leg], ranks[leg]]);
      const pure = {
        semantic: await search(query, { mode: "semantic" }),
        keyword: await search(query, { mode: "keyword" }),
      };
      expect(shape(await search(query, { weight: 1 }), "semantic")).toEqual(
        shape(pure.semantic, "semantic"),
      );
      expect(shape(await search(query, { weight: 0 }), "keyword")).toEqual(
        shape(pure.keyword, "keyword"),
      );
    }
    expect((await search("restore", { weight: 0.3 })).weight).toBe(0.3);
  });

  test("mode: a leg that is not asked is skipped and scores nothing", async () => {
    const keyword = await search("restore", { mode: "keyword" });
    expect(keyword.legs[0]).toMatchObject({ state: "skipped", reason: "the mode is keyword" });
    for (const { scores } of keyword.items) expect(Object.keys(scores)).toEqual(["keyword"]);
    const semantic = await search("restore", { mode: "semantic" });
    expect(semantic.legs[1]).toMatchObject({ state: "skipped" });
    for (const { scores } of semantic.items) expect(Object.keys(scores)).toEqual(["semantic"]);
    const hybrid = await search("restore");
    expect(hybrid.items[0]?.scores).toHaveProperty("fused");
    const before = book.room.embedded();
    await search("restore", { weight: 0 });
    expect(book.room.embedded()).toBe(before);
  });

  test.each(modes)("minScore: raising it removes the hits below, in mode %s", async (mode) => {
    const all = await search("restore the database copy key", { mode });
    const leg = mode === "hybrid" ? "fused" : mode;
    const scores = all.items.map((hit) => hit.scores[leg] ?? Number.NaN);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    for (const minScore of scores) {
      const left = await search("restore the database copy key", { mode, minScore });
      expect(left.items).toEqual(
        all.items.filter((_hit, index) => (scores[index] ?? 0) >= minScore),
      );
    }
    expect((await search("restore", { mode, minScore: 1000 })).items).toEqual([]);
  });

  test("context changes the semantic leg and only that", async () => {
    const plain = await search("it", { mode: "semantic" });
    const birds = await search("it", { mode: "semantic", context: "sea birds that dive" });
    expect(birds.items[0]?.key).toBe("birds.txt");
    expect(birds.items[0]?.scores).not.toEqual(plain.items[0]?.scores);
    const byWords = await search("restore", { mode: "keyword", context: "puffins" });
    expect(byWords.items).toEqual((await search("restore", { mode: "keyword" })).items);
  });

  test("filter: only its documents, with the cosines they have anyway", async () => {
    const filter = {
      or: [
        { field: "format", op: "eq" as const, value: "code" },
        { field: "key", op: "eq" as const, value: "keys.md" },
      ],
    };
    for (const mode of modes) {
      const found = await search("header of a key", { mode, filter });
      expect(new Set(keysOf(found))).toEqual(new Set(["parse.py", "keys.md"]));
      const all = await search("header of a key", { mode });
      for (const { chunk, scores } of found.items) {
        const same = all.items.find((hit) => hit.chunk === chunk);
        expect(same?.scores.semantic).toBe(scores.semantic);
        expect(same?.scores.keyword).toBe(scores.keyword);
      }
    }
  });

  test("collections: by name and id, each once", async () => {
    const [hit] = (await search("gannets")).items;
    const again = await search("gannets", {
      collections: ["handbook", hit?.collection ?? "", "handbook"],
    });
    expect(again.searched.collections).toBe(1);
    await expect(search("gannets", { collections: ["handbook", "nowhere"] })).rejects.toMatchObject(
      {
        code: "not_found",
        errors: [{ pointer: "/collections/1" }],
      },
    );
  });

  test("limit and cursor: the pages join without gap or repeat", async () => {
    for (const mode of modes) {
      const all = await search("the", { mode, limit: 100 });
      expect(all.nextCursor).toBeNull();
      const joined: Found["items"] = [];
      let cursor: string | null = null;
      do {
        const page: Found = await search("the", { mode, limit: 2, ...(cursor ? { cursor } : {}) });
        expect(page.items.length).toBeLessThanOrEqual(2);
        joined.push(...page.items);
        cursor = page.nextCursor;
      } while (cursor !== null);
      expect(joined).toEqual(all.items);
    }
  });
});

describe("a cursor", () => {
  const begin = async () => (await search("the database", { limit: 1 })).nextCursor ?? "";

  test("of a changed collection is stale", async () => {
    const cursor = await begin();
    await add("handbook", "passing", "a passing note about the database");
    await expect(search("the database", { limit: 1, cursor })).rejects.toMatchObject({
      code: "cursor_stale",
    });
    const later = await begin();
    await book.room.call(documentsDelete, { collection: "handbook", document: "passing" });
    await expect(search("the database", { limit: 1, cursor: later })).rejects.toMatchObject({
      code: "cursor_stale",
    });
  });

  test("belongs to its query and its caller", async () => {
    const cursor = await begin();
    expect((await search("the database", { limit: 1, cursor })).items).toHaveLength(1);
    for (const input of [
      { limit: 2 },
      { mode: "keyword" as const },
      { weight: 0.1 },
      { minScore: 0.1 },
      { context: "x" },
    ])
      await expect(search("the database", { limit: 1, cursor, ...input })).rejects.toMatchObject({
        code: "cursor_stale",
      });
    await expect(search("another", { limit: 1, cursor })).rejects.toMatchObject({
      code: "cursor_stale",
    });
    const boss = keyPrincipal("boss", "admin");
    const input = { query: "the database", collections: ["handbook"], limit: 1, cursor };
    await expect(book.room.call(searchQuery, input, boss)).rejects.toMatchObject({
      code: "cursor_stale",
    });
  });

  test.each(["", "x", "..", "eyJvZmZzZXQiOjV9.AAAAAAAAAAAAAAAAAAAAAA", "\0"])(
    "made up (%j) is refused",
    async (cursor) => {
      await expect(search("the database", { limit: 1, cursor })).rejects.toMatchObject({
        code: "cursor_stale",
      });
    },
  );
});
