import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collectionsCreate } from "#operations/collections/create.ts";
import { documentsAdd } from "#operations/documents/add.ts";
import { searchExplain } from "#operations/search/explain.ts";
import { searchQuery } from "#operations/search/query.ts";
import { modelFolders, openTestApp, type TestApp } from "../fixtures/rooms/open-test-app.ts";

let room: TestApp;
beforeAll(async () => {
  room = await openTestApp({ "models.static": [modelFolders.standard, modelFolders.tiny] });
  await room.call(collectionsCreate, { name: "notes" });
  for (const [key, content] of Object.entries(notes)) await add("notes", key, content);
});
afterAll(() => room.close());

const notes = {
  "backup.md": "# Backups\n\nCopy the database while the server runs; restore the copy by hand.",
  "keys.md": "# Keys\n\nRevoke the key of a lost laptop. Keys of a principal end with it.",
  "parse.py": "def parse_header(line):\n    return parseHTTPHeader2(line)\n",
  "küche.md": "Die Köchin kocht 漢字-Suppe 😀 für das Café – naïveté à la carte.",
  "birds.txt": "Gannets dive from forty metres. Puffins dig burrows.",
};

const add = (collection: string, key: string, content: string) =>
  room.call(documentsAdd, { collection, key, content });
const modes = ["hybrid", "semantic", "keyword"] as const;
const queries = [
  "restore the database by hand",
  "how do I revoke a lost key?",
  "parse_header parseHTTPHeader2",
  "Köchin 漢字 😀 Café naïveté",
  "gannets",
  "the of and",
];

describe("for every hit of every query and mode", () => {
  test.each(queries)("%s", async (query) => {
    for (const mode of modes)
      for (const weight of mode === "hybrid" ? [0, 0.3, 1, undefined] : [undefined]) {
        const asked = { query, mode, ...(weight === undefined ? {} : { weight }) };
        const found = await room.call(searchQuery, asked);
        for (const hit of found.items) {
          const told = await room.call(searchExplain, { ...asked, chunk: hit.chunk });
          expect(told).toMatchObject({
            chunk: hit.chunk,
            scores: hit.scores,
            ranks: hit.ranks,
            weight: found.weight,
          });
          checkKeyword(told, hit);
          checkSemantic(told, hit);
          expect(told.fused?.value).toBe(hit.scores.fused);
          if (told.fused)
            expect(told.fused.value).toBe(
              told.weight * told.fused.semanticScaled +
                (1 - told.weight) * told.fused.keywordScaled,
            );
        }
      }
  });

  type Told = Awaited<ReturnType<typeof explain>>;
  type Hit = {
    scores: { keyword?: number | undefined; semantic?: number | undefined };
    key: string;
  };
  const explain = () => room.call(searchExplain, { query: "", chunk: "" });

  /** The words' parts add up to minus bm25. */
  function checkKeyword(told: Told, { scores }: Hit): void {
    if (scores.keyword === undefined) return;
    const sum = told.keyword?.terms.reduce((total, { score }) => total + score, 0) ?? Number.NaN;
    expect(Math.abs(sum - scores.keyword)).toBeLessThanOrEqual(1e-9 * Math.max(1, scores.keyword));
    for (const { tf, idf, stem } of told.keyword?.terms ?? []) {
      expect(tf).toBeGreaterThan(0);
      expect(idf).toBeGreaterThanOrEqual(1e-6);
      expect(stem).not.toBe("");
    }
  }

  /** The pairs' shares add up to the cosine, and name what stands at their place. */
  function checkSemantic(told: Told, { scores, key }: Hit): void {
    if (!told.semantic) return;
    const { cosine, pairs, otherShare, sum } = told.semantic;
    expect(Math.abs(sum - cosine)).toBeLessThanOrEqual(1e-6);
    const listed = (pairs ?? []).reduce((total, { share }) => total + share, otherShare);
    expect(Math.abs(listed - sum)).toBeLessThanOrEqual(1e-9);
    if (scores.semantic !== undefined)
      expect(Math.abs(scores.semantic - cosine)).toBeLessThanOrEqual(1e-6);
    expect(pairs?.length).toBeLessThanOrEqual(50);
    const sizes = (pairs ?? []).map(({ share }) => Math.abs(share));
    expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
    for (const { passage } of pairs ?? [])
      expect(notes[key as keyof typeof notes]).toContain(passage.text);
  }
});

test("words that were not looked up are told, with the ones that were", async () => {
  const query = "how do I revoke a lost key?";
  const [hit] = (await room.call(searchQuery, { query, mode: "keyword" })).items;
  const told = await room.call(searchExplain, { query, mode: "keyword", chunk: hit?.chunk ?? "" });
  expect(told.keyword?.dropped).toEqual(["how", "do", "i", "a"]);
  expect(told.keyword?.terms.map(({ term, tf, column }) => [term, tf, column])).toEqual([
    ["revoke", 1, "body"],
    ["lost", 1, "body"],
    ["key", 6, "body"],
  ]);
  expect(told.semantic).toBeNull();
  expect(told.fused).toBeNull();
});

test("a chunk that the query did not find has its cosine and no score of the search", async () => {
  const [bird] = (await room.call(searchQuery, { query: "gannets", mode: "keyword" })).items;
  const told = await room.call(searchExplain, {
    query: "restore",
    mode: "keyword",
    chunk: bird?.chunk ?? "",
  });
  expect(told).toMatchObject({ scores: {}, ranks: {}, keyword: { terms: [] }, fused: null });
  const unknown = room.call(searchExplain, {
    query: "restore",
    chunk: "chk_01ARZ3NDEKTSV4RRFFQ69G5FAV",
  });
  await expect(unknown).rejects.toMatchObject({ code: "not_found" });
});

describe("collections", () => {
  let own = "";
  beforeAll(async () => {
    await room.call(collectionsCreate, { name: "more" });
    await add("more", "more.md", "Gannets and puffins and terns and gulls.");
    await room.call(collectionsCreate, { name: "tiny", space: "static-16" });
    await add("tiny", "cat.md", "gannets");
    const input = { query: "gannets", collections: ["notes"] };
    own = (await room.call(searchQuery, input)).items[0]?.chunk ?? "";
  });

  test("named ones are those of the search: the ranks are the same", async () => {
    for (const collections of [["notes"], ["notes", "more"], ["more", "notes"]]) {
      const input = { query: "gannets and puffins", collections };
      const found = await room.call(searchQuery, input);
      const hit = found.items.find(({ chunk }) => chunk === own);
      const told = await room.call(searchExplain, { ...input, chunk: own });
      expect(told).toMatchObject({ scores: hit?.scores, ranks: hit?.ranks });
    }
  });

  test("by words alone the ranks are among all spaces, as in the search", async () => {
    const input = { query: "gannets", mode: "keyword" as const };
    const found = await room.call(searchQuery, input);
    expect(found.items).toHaveLength(3);
    for (const { chunk, ranks, scores } of found.items)
      expect(await room.call(searchExplain, { ...input, chunk })).toMatchObject({ ranks, scores });
  });

  test("one that is not there, and a search that leaves the chunk out, are refused", async () => {
    const explain = (collections: string[]) =>
      room.call(searchExplain, { query: "gannets", chunk: own, collections });
    await expect(explain(["notes", "nowhere"])).rejects.toMatchObject({
      code: "not_found",
      errors: [{ pointer: "/collections/1" }],
    });
    await expect(explain(["more"])).rejects.toMatchObject({
      code: "input_invalid",
      errors: [{ pointer: "/collections", message: "name notes too" }],
    });
    await expect(explain(["notes", "tiny"])).rejects.toMatchObject({ code: "space_mismatch" });
  });

  test("a chunk of another space is explained in its own", async () => {
    const input = { query: "gannets", collections: ["tiny"] };
    const [hit] = (await room.call(searchQuery, input)).items;
    const told = await room.call(searchExplain, { query: "gannets", chunk: hit?.chunk ?? "" });
    expect(told).toMatchObject({ scores: hit?.scores, ranks: hit?.ranks });
    expect(told.semantic?.cosine).toBeCloseTo(1, 6);
  });
});

test("a leg that cannot run: the explanation is of the answer that was given", async () => {
  const { id } = await room.call(collectionsCreate, { name: "broken" });
  await add("broken", "a", "cormorants dry their wings");
  await room.app.database.write(({ tables }) =>
    tables
      .deleteFrom("vectors")
      .where("chunk_key", "in", (select) =>
        select.selectFrom("chunks").select("key").where("collection_id", "=", id),
      )
      .execute(),
  );
  const input = { query: "cormorants wings", collections: ["broken"] };
  // Vectors that are gone are no empty leg: it has failed, and both answers say so.
  const answer = await room.call(searchQuery, input);
  const [hit] = answer.items;
  const told = await room.call(searchExplain, { ...input, chunk: hit?.chunk ?? "" });
  expect(answer.legs).toMatchObject([{ name: "semantic", state: "failed" }, { state: "run" }]);
  expect(answer.notices).toMatchObject([{ code: "keyword_only" }]);
  expect(told.notices).toMatchObject([{ code: "keyword_only" }]);
  await expect(room.call(searchQuery, { ...input, mode: "semantic" })).rejects.toMatchObject({
    code: "space_invalid",
  });
  expect(hit?.scores).not.toHaveProperty("semantic");
  expect(told).toMatchObject({ scores: hit?.scores, semantic: null });
  expect(told.fused?.value).toBe(hit?.scores.fused);
});
