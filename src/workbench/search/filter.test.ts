import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CollectionRow, DocumentRow } from "#base/database/index.ts";
import {
  openSearchStore,
  type SearchStore,
} from "../../../test/fixtures/rooms/open-search-store.ts";
import {
  checkFilter,
  type Filter,
  filterDocuments,
  type FilterLeaf,
  filterOperators,
} from "./filter.ts";

let store: SearchStore;
let collection: CollectionRow;
let documents: DocumentRow[];

/** Values that tempt a database to convert them. */
const values = [
  "a",
  "ab",
  "B",
  "10",
  "9",
  "true",
  "null",
  '"',
  "it's 100 % \\ [x]",
  "é",
  "漢字",
  "",
  0,
  1,
  -1,
  9,
  10,
  1.5,
  1e21,
  true,
  false,
  null,
] as const;
const held = [
  ...values,
  ["a", "ab"],
  ["prerelease"],
  [1, "1", true, null],
  [],
  { a: 1 },
  undefined,
];

beforeAll(async () => {
  store = await openSearchStore();
  collection = await store.collection("filtered");
  const other = await store.collection("other");
  await store.plant(other, { key: "elsewhere", texts: ["other"], metadata: { x: "a" } });
  for (const [index, x] of held.entries())
    await store.plant(collection, {
      key: `${index % 2 ? "notes" : "docs"}/${String(index).padStart(2, "0")}.md`,
      texts: [`text ${index}`],
      ...(index % 3 ? { title: `Title ${index}` } : {}),
      mediaType: index % 2 ? "text/plain" : "text/markdown",
      ...(index % 4 ? {} : { language: "python" }),
      bytes: index * 7,
      metadata: { ...(x === undefined ? {} : { x }), "odd name's": index, 'qu"ote\\': x ?? null },
    });
  await store.database.write(({ tables }) =>
    tables
      .updateTable("documents")
      .set({ indexed_at: Date.UTC(2024, 0, 2) })
      .where("key", "<", "docs/1")
      .execute(),
  );
  documents = await store.database.unscoped
    .selectFrom("documents")
    .selectAll()
    .where("collection_id", "=", collection.id)
    .execute();
});
afterAll(() => store.close());

const isSimple = (value: unknown) => typeof value !== "object" || value === null;

/** What a leaf means, in JavaScript. */
function holds(leaf: FilterLeaf, document: DocumentRow): boolean {
  const { op, value } = leaf;
  const is = valueOf(leaf.field, document);
  const wanted = (one: unknown) =>
    leaf.field === "indexedAt" && typeof one === "string" ? Date.parse(one) : (one ?? null);
  const single = wanted(value);
  const compared = (test: (a: string | number, b: string | number) => boolean) => {
    if (typeof is === "number" && typeof single === "number") return test(is, single);
    if (typeof is !== "string" || typeof single !== "string") return false;
    return test(Buffer.compare(Buffer.from(is), Buffer.from(single)), 0);
  };
  switch (op) {
    case "eq":
      return is === single;
    case "ne":
      return is !== single;
    case "in":
      return Array.isArray(value) && value.some((one) => wanted(one) === is);
    case "lt":
      return compared((a, b) => a < b);
    case "lte":
      return compared((a, b) => a <= b);
    case "gt":
      return compared((a, b) => a > b);
    case "gte":
      return compared((a, b) => a >= b);
    case "contains":
      return typeof is === "string"
        ? is.includes(String(value))
        : Array.isArray(is) && is.includes(value);
    case "exists":
      return (is !== null) === (value ?? true);
  }
}

function valueOf(field: string, row: DocumentRow): unknown {
  if (field.startsWith("metadata.")) {
    const metadata = JSON.parse(row.metadata) as Record<string, unknown>;
    return metadata[field.slice("metadata.".length)] ?? null;
  }
  const known: Record<string, unknown> = {
    id: row.id,
    key: row.key,
    title: row.title,
    mediaType: row.media_type,
    format: row.format,
    language: row.language,
    source: row.source_kind,
    bytes: row.bytes,
    indexedAt: row.indexed_at,
  };
  return known[field];
}

function matches(filter: Filter, document: DocumentRow): boolean {
  if ("and" in filter) return filter.and.every((part) => matches(part, document));
  if ("or" in filter) return filter.or.some((part) => matches(part, document));
  return holds(filter, document);
}

const expected = (filter: Filter) =>
  documents
    .filter((row) => matches(filter, row))
    .map(({ id }) => id)
    .toSorted();
const found = async (filter: Filter) =>
  (await filterDocuments(store.database, collection, filter)).toSorted();
const keysOf = async (filter: Filter) => {
  const ids = await found(filter);
  return documents.filter(({ id }) => ids.includes(id)).map(({ key }) => key);
};

describe("against a naive reference", () => {
  const ordering = new Set(["lt", "lte", "gt", "gte"]);
  const metadataLeaves = [
    "metadata.x",
    "metadata.odd name's",
    'metadata.qu"ote\\',
    "metadata.absent",
  ].flatMap((field) =>
    filterOperators.flatMap((op): FilterLeaf[] => {
      if (op === "exists")
        return [
          { field, op },
          { field, op, value: true },
          { field, op, value: false },
        ];
      if (op === "in")
        return [[], [...values], ["a", 1, true], [null], [false, 10, "10"]].map((list) => ({
          field,
          op,
          value: list,
        }));
      return values
        .filter((value) =>
          op === "contains"
            ? typeof value === "string"
            : !ordering.has(op) || typeof value === "string" || typeof value === "number",
        )
        .map((value) => ({ field, op, value }));
    }),
  );

  test("every operator with every kind of value on every kind of metadata", async () => {
    expect(metadataLeaves.length).toBeGreaterThan(400);
    for (const leaf of metadataLeaves)
      expect(await found(leaf), JSON.stringify(leaf)).toEqual(expected(leaf));
    expect(held.some((value) => !isSimple(value))).toBe(true);
  });

  const columnLeaves: FilterLeaf[] = [
    ...(["eq", "ne", "lt", "lte", "gt", "gte", "contains"] as const).flatMap((op): FilterLeaf[] => [
      { field: "key", op, value: "docs/04.md" },
      { field: "key", op, value: "/1" },
      { field: "title", op, value: "Title 10" },
      { field: "mediaType", op, value: "text/markdown" },
      { field: "language", op, value: "python" },
      { field: "source", op, value: "text" },
      { field: "format", op, value: "text" },
    ]),
    ...(["eq", "ne", "lt", "lte", "gt", "gte"] as const).flatMap((op): FilterLeaf[] => [
      { field: "bytes", op, value: 70 },
      { field: "bytes", op, value: 70.5 },
      { field: "indexedAt", op, value: "2024-01-02T00:00:00.000Z" },
      { field: "indexedAt", op, value: "2024-01-02T01:00:00+01:00" },
    ]),
    { field: "bytes", op: "in", value: [7, 70, 71] },
    { field: "title", op: "in", value: ["Title 1", null] },
    { field: "key", op: "in", value: [] },
    { field: "indexedAt", op: "in", value: ["2024-01-02", "2020-01-01"] },
    { field: "title", op: "eq", value: null },
    { field: "title", op: "ne", value: null },
    { field: "title", op: "exists" },
    { field: "language", op: "exists", value: false },
  ];

  test.each(columnLeaves)("$field $op $value", async (leaf) => {
    expect(await found(leaf)).toEqual(expected(leaf));
  });

  test("any combination", async () => {
    const leaf = fc.constantFrom(...metadataLeaves, ...columnLeaves);
    const { filter } = fc.letrec<{ filter: Filter }>((tie) => ({
      filter: fc.oneof(
        { maxDepth: 3, depthSize: "small" },
        leaf,
        fc.record({ and: fc.array(tie("filter"), { minLength: 1, maxLength: 3 }) }),
        fc.record({ or: fc.array(tie("filter"), { minLength: 1, maxLength: 3 }) }),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(filter, async (each) => {
        expect(await found(each)).toEqual(expected(each));
      }),
      { numRuns: 200 },
    );
  });
});

test("a list has what contains names as a value, not as a part of its JSON", async () => {
  expect(await keysOf({ field: "metadata.x", op: "contains", value: "release" })).toEqual([]);
  expect(await keysOf({ field: "metadata.x", op: "contains", value: "prerelease" })).toHaveLength(
    1,
  );
});

test("only the collection's own documents are found", async () => {
  const all = await found({ field: "metadata.absent", op: "exists", value: false });
  expect(all).toHaveLength(held.length);
});

test("a thousand values and fifty conditions are within what the database takes", async () => {
  const many = Array.from({ length: 1000 }, (_, index) => `v${index}`);
  const leaves = Array.from({ length: 25 }, (): FilterLeaf[] => [
    { field: "metadata.x", op: "in", value: [...many, "a"] },
    { field: "key", op: "in", value: [...many, "docs/00.md"] },
  ]).flat();
  expect(await keysOf({ and: leaves })).toEqual(["docs/00.md"]);
});

describe("is refused", () => {
  const nested = (depth: number): Filter =>
    depth === 0 ? { field: "key", op: "exists" } : { and: [nested(depth - 1)] };
  const cases: [string, Filter, string][] = [
    ["an unknown field", { field: "colour", op: "eq", value: 1 }, "/filter/field"],
    ["what every object has", { field: "toString", op: "eq", value: 1 }, "/filter/field"],
    ["what every object is made by", { field: "constructor", op: "exists" }, "/filter/field"],
    ["a prototype", { field: "__proto__", op: "exists" }, "/filter/field"],
    ["a name of metadata with a dot", { field: "metadata.a.b", op: "exists" }, "/filter/field"],
    ["no name of metadata", { field: "metadata.", op: "exists" }, "/filter/field"],
    ["a single value for in", { field: "key", op: "in", value: "a" }, "/filter/value"],
    ["a list for eq", { field: "key", op: "eq", value: ["a"] }, "/filter/value"],
    ["no value", { field: "key", op: "eq" }, "/filter/value"],
    ["exists with a text", { field: "key", op: "exists", value: "yes" }, "/filter/value"],
    ["contains with a number", { field: "key", op: "contains", value: 1 }, "/filter/value"],
    ["contains over a number", { field: "bytes", op: "contains", value: "1" }, "/filter/value"],
    [
      "contains over a time",
      { field: "indexedAt", op: "contains", value: "2024-01-01" },
      "/filter/value",
    ],
    ["less than null", { field: "title", op: "lt", value: null }, "/filter/value"],
    ["more than true", { field: "metadata.x", op: "gt", value: true }, "/filter/value"],
    ["a text for bytes", { field: "bytes", op: "gt", value: "10" }, "/filter/value"],
    ["a number for a key", { field: "key", op: "eq", value: 1 }, "/filter/value"],
    ["a time in words", { field: "indexedAt", op: "gt", value: "May 1 2024" }, "/filter/value"],
    ["no time", { field: "indexedAt", op: "eq", value: "2024-99-99" }, "/filter/value"],
    ["depth 6", nested(5), "/filter/and/0/and/0/and/0/and/0/and/0"],
    [
      "51 conditions",
      { or: Array.from({ length: 51 }, (): Filter => ({ field: "key", op: "exists" })) },
      "/filter/or/50",
    ],
    [
      "one bad part of many",
      { or: [{ field: "key", op: "exists" }, { and: [{ field: "no", op: "exists" }] }] },
      "/filter/or/1/and/0/field",
    ],
  ];

  test.each(cases)("%s, by its place", (_what, filter, pointer) => {
    expect(() => checkFilter(filter)).toThrow(
      expect.objectContaining({
        code: "input_invalid",
        errors: [expect.objectContaining({ pointer })],
      }),
    );
  });

  test("an unknown field names the valid ones", () => {
    expect(() => checkFilter({ field: "colour", op: "exists" })).toThrow(
      expect.objectContaining({
        errors: [
          expect.objectContaining({ valid: expect.arrayContaining(["key", "metadata.<name>"]) }),
        ],
      }),
    );
  });

  test("not: depth 5 and 50 conditions", () => {
    checkFilter(nested(4));
    checkFilter({ or: Array.from({ length: 50 }, (): Filter => ({ field: "key", op: "exists" })) });
  });
});
