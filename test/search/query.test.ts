import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collectionsCreate } from "#operations/collections/create.ts";
import { documentsAdd } from "#operations/documents/add.ts";
import { documentsAddBatch } from "#operations/documents/add-batch.ts";
import { documentsDelete } from "#operations/documents/delete.ts";
import { documentsRead } from "#operations/documents/read.ts";
import { searchQuery } from "#operations/search/query.ts";
import type { z } from "zod";
import {
  keyPrincipal,
  modelFolders,
  openTestApp,
  type TestApp,
} from "../fixtures/rooms/open-test-app.ts";

const folders = { "models.static": [modelFolders.standard, modelFolders.tiny] };

let room: TestApp;
beforeAll(async () => {
  room = await openTestApp(folders);
  await room.call(collectionsCreate, { name: "handbook" });
  for (const [key, content] of Object.entries(handbook)) await add("handbook", key, content);
});
afterAll(() => room.close());

const handbook = {
  "backup.md":
    "# Backups\n\nRun `candor backup` to copy the database while work goes on.\n\n## Restore\n\nStop the server and put the copy in place of the database.",
  "models.md": "# Models\n\nA static embedding model is a table of token vectors.\n",
  "keys.md": "# Keys\n\nAn API key belongs to a principal; revoke it when a laptop is lost.\n",
  "birds.txt": "Gannets dive from forty metres. Puffins dig burrows in the turf.",
  "parse.py":
    'def parse_header(line):\n    """Split an HTTP header."""\n    return line.split(\':\')\n',
  "kueche.txt": "Die Köchin kocht Rhabarber-Kompott für das Café.",
};

type QueryInput = z.input<typeof searchQuery.input>;
type Found = Awaited<ReturnType<typeof search>>;

const search = (query: string, input: Partial<QueryInput> = {}) =>
  room.call(searchQuery, { query, collections: ["handbook"], ...input });
const add = (collection: string, key: string, content: string, input: object = {}) =>
  room.call(documentsAdd, { collection, key, content, ...input });
const keys = ({ items }: Found) => items.map(({ key }) => key);
const modes = ["hybrid", "semantic", "keyword"] as const;

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
    expect(found.weight).toBe(0.5);
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
    const read = await room.call(documentsRead, {
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
    expect(keys(await search("restoring", { mode: "keyword" }))).toEqual(["backup.md"]);
    expect(keys(await search("cafe kochin", { mode: "keyword" }))).toEqual(["kueche.txt"]);
    expect(keys(await search("header", { mode: "keyword" }))).toEqual(["parse.py"]);
    expect(keys(await search("parseHeader", { mode: "keyword" }))).toEqual(["parse.py"]);
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
    const before = room.embedded();
    await search("restore", { weight: 0 });
    expect(room.embedded()).toBe(before);
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
      expect(new Set(keys(found))).toEqual(new Set(["parse.py", "keys.md"]));
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
    await room.call(documentsDelete, { collection: "handbook", document: "passing" });
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
    await expect(room.call(searchQuery, input, boss)).rejects.toMatchObject({
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

describe("hostile queries are only text", () => {
  const texts = [
    '"',
    '"unclosed',
    "'",
    "`rm -rf`",
    "AND",
    "OR OR",
    "NOT",
    "NEAR(gannets puffins, 2)",
    "gann*",
    "^gannets",
    "body:gannets",
    "col : x",
    "-gannets",
    "(((",
    "gannets\0puffins",
    "\0",
    "🐧🐦",
    "👩‍👩‍👧",
    "\u202Eקיצ\u202C",
    "שלום עולם",
    "gannets'; drop table documents; --",
    "' or 1=1 --",
    "!!! ??? …",
    "the of and",
    "\ud800",
    "gannets \udfff",
    "a".repeat(2000),
    "gannets ".repeat(250),
    "\u200b\u200b",
    "%_[]\\",
    "<script>alert(1)</script>",
    "{{7*7}} ${7*7}",
    "../../etc/passwd",
    "\uFFFE\uFFFF",
  ];

  test.each(texts)("%j", async (query) => {
    const count = (await search("gannets")).searched.documents;
    for (const mode of modes) {
      const outcome = await search(query, { mode, limit: 100 }).then(
        (found) => found,
        (thrown: unknown) => thrown as { code: string },
      );
      // Only a text without a token of the model has no meaning to search by.
      if ("code" in outcome)
        expect([mode, outcome.code]).toEqual(["semantic", "text_without_tokens"]);
      else
        for (const { snippet, highlights } of outcome.items)
          for (const [from, to] of highlights)
            expect(snippet.slice(from, to)).toHaveLength(to - from);
    }
    expect((await search("gannets")).searched.documents).toBe(count);
  });

  test("query language means nothing: what is found is what the words find", async () => {
    const plain = await search("gannets", { mode: "keyword" });
    for (const query of [
      '"gannets"',
      "gannets OR zyzzyva",
      "(gannets)",
      "zyzzyva NOT gannets",
      "gannets;--",
      "gannets*",
    ])
      expect((await search(query, { mode: "keyword" })).items).toEqual(plain.items);
    expect((await search("gannet*", { mode: "keyword" })).items).toEqual(plain.items);
    expect((await search("gann*", { mode: "keyword" })).items).toEqual([]);
  });

  test("words without a token in hybrid mode: the answer rests on keywords, and says so", async () => {
    const found = await search("\u200b");
    expect(found).toMatchObject({ items: [], notices: [{ code: "keyword_only" }] });
  });

  test.each(["", " ", "\n\t ", "\u00a0", "a".repeat(2001)])(
    "%j is refused by its place",
    async (query) => {
      await expect(search(query)).rejects.toMatchObject({
        code: "input_invalid",
        errors: [{ pointer: "/query" }],
      });
    },
  );

  test.each([
    [{ limit: 0 }, "/limit"],
    [{ limit: 101 }, "/limit"],
    [{ limit: 1.5 }, "/limit"],
    [{ weight: 1.1 }, "/weight"],
    [{ weight: Number.NaN }, "/weight"],
    [{ mode: "fuzzy" }, "/mode"],
    [{ collections: [] }, "/collections"],
    [{ nothing: 1 }, "/nothing"],
    [{ filter: { field: "no such", op: "eq", value: 1 } }, "/filter/field"],
    [{ filter: { field: "toString", op: "exists" } }, "/filter/field"],
  ])("%j is refused by its place", async (input, pointer) => {
    const error = await search("gannets", input as never).then(
      () => null,
      (thrown: unknown) => thrown as { code: string; errors: { pointer: string }[] },
    );
    expect(error?.code).toBe("input_invalid");
    expect(error?.errors.map((fault) => fault.pointer)).toContain(pointer);
  });

  test.each([6, 1000, 20_000])(
    "a filter nested %i deep is refused, not a defect",
    async (depth) => {
      let filter: unknown = { field: "key", op: "exists" };
      for (let level = 1; level < depth; level += 1) filter = { and: [filter] };
      await expect(search("gannets", { filter: filter as never })).rejects.toMatchObject({
        code: "input_invalid",
      });
    },
  );
});

describe("spaces", () => {
  beforeAll(async () => {
    await room.call(collectionsCreate, { name: "small", space: "static-16" });
    await add("small", "cat", "cat");
  });

  test("others than the default one are left out, and named", async () => {
    const found = await room.call(searchQuery, { query: "cat" });
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
      const found = await room.call(searchQuery, { ...input, collections });
      expect(keys(found)).toEqual(["cat"]);
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
    await room.call(collectionsCreate, { name: "many" });
    const { job } = await room.call(documentsAddBatch, {
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
    expect(await room.ended(job)).toMatchObject({ state: "succeeded", done: 1000 });
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
      await room.app.database.read
        .selectFrom("ledger_entries")
        .select("id")
        .where("code", "=", code)
        .execute()
    ).length;
  let table: string;

  beforeAll(async () => {
    const { id } = await room.call(collectionsCreate, { name: "broken" });
    table = `words_${id.toLowerCase()}`;
    await add("broken", "a", "cormorants dry their wings");
    await room.app.database.write(({ tables }) =>
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
    expect(keys(found)).toEqual(["a"]);
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
    await room.app.database.write(({ tables }) =>
      sql`drop table ${sql.table(table)}`.execute(tables),
    );
    await expect(search("cormorants", { collections: ["broken"] })).rejects.toMatchObject({
      code: "search_failed",
      details: { legs: [{ name: "semantic" }, { name: "keyword" }] },
    });
    const keyword = search("cormorants", { mode: "keyword", collections: ["broken"] });
    await expect(keyword).rejects.toMatchObject({ status: 500 });
  });

  test("the keyword one: meaning alone, with a notice", async () => {
    const { id } = await room.call(collectionsCreate, { name: "wordless" });
    await add("wordless", "a", "cormorants dry their wings and rest");
    await room.app.database.write(({ tables }) =>
      sql`drop table ${sql.table(`words_${id.toLowerCase()}`)}`.execute(tables),
    );
    const found = await search("cormorants", { collections: ["wordless"] });
    expect(keys(found)).toEqual(["a"]);
    expect(found.notices).toMatchObject([{ code: "semantic_only" }]);
    expect(found.items[0]?.scores).not.toHaveProperty("keyword");
  });

  test("a caller who went away is a cancelled search, not half an answer", async () => {
    const gone = room.call(
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
  for (const input of questions) before.push((await room.call(searchQuery, input)).items);
  await room.app.close();
  room = await openTestApp(folders, room.folder);
  const added = await add("handbook", "first", "the first thing after a restart");
  expect(added.outcome).toBe("added");
  await room.call(documentsDelete, { collection: "handbook", document: "first" });
  for (const [index, input] of questions.entries())
    expect((await room.call(searchQuery, input)).items).toEqual(before[index]);
});
