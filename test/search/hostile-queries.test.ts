import { afterAll, beforeAll, expect, test } from "vitest";
import { type Handbook, modes, openHandbook } from "./handbook.ts";

let book: Handbook;
beforeAll(async () => {
  book = await openHandbook();
});
afterAll(() => book.room.close());

const search: Handbook["search"] = (query, input) => book.search(query, input);

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
      errors: expect.arrayContaining([expect.objectContaining({ pointer: "/query" })]),
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

test.each([6, 90])("a filter nested %i deep is refused, not a defect", async (depth) => {
  let filter: unknown = { field: "key", op: "exists" };
  for (let level = 1; level < depth; level += 1) filter = { and: [filter] };
  await expect(search("gannets", { filter: filter as never })).rejects.toMatchObject({
    code: "input_invalid",
  });
});
