import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CollectionRow } from "#base/database/index.ts";
import {
  openSearchStore,
  type SearchStore,
} from "../../../test/fixtures/rooms/open-search-store.ts";
import {
  chooseWords,
  explainKeywords,
  type KeywordMatch,
  matchKeywords,
  queryWords,
  wordFrequency,
} from "./keyword-index.ts";
import { trashDocument } from "./trash-rows.ts";

let store: SearchStore;
beforeAll(async () => {
  store = await openSearchStore();
});
afterAll(() => store.close());

async function search(
  collection: CollectionRow,
  query: string,
  documents: readonly string[] | null = null,
): Promise<KeywordMatch[]> {
  const words = await chooseWords(store.database, collection, query);
  return matchKeywords(store.database, collection.id, words, 1000, documents);
}

async function textsOf(matches: readonly KeywordMatch[]): Promise<string[]> {
  const rows = await store.database.unscoped.selectFrom("chunks").select(["row", "text"]).execute();
  return matches.map(({ row }) => rows.find((chunk) => chunk.row === row)?.text ?? "no such chunk");
}

describe("the words of a query", () => {
  test.each([
    ["restore the Backup", ["restore", "the", "backup"]],
    ["parseHTTPHeader2 now", ["parsehttpheader2", "parse", "http", "header", "2", "now"]],
    ["snake_case kebab-case", ["snake_case", "snake", "case", "kebab-case", "kebab"]],
    ["AND OR NOT NEAR(a b)", ["and", "or", "not", "near", "a", "b"]],
    ['"quoted" pre* ^a col:x', ["quoted", "pre", "a", "col", "x"]],
    ["naïve Œuvre 漢字 Żółw", ["naïve", "œuvre", "漢字", "żółw"]],
    ["again again AGAIN", ["again"]],
    ["' OR 1=1; drop table chunks; --", ["or", "1", "drop", "table", "chunks"]],
    ["!?… — 😀 ()", []],
    ["\0a\0", ["a"]],
    ["\ud800x", ["x"]],
  ])("of %j", (query, words) => {
    expect(queryWords(query)).toEqual(words);
  });
});

describe("a hostile query is only text", () => {
  let collection: CollectionRow;
  beforeAll(async () => {
    collection = await store.collection("hostile");
    await store.plant(collection, {
      key: "a",
      texts: ["an alpha and a beta", "near gamma or delta"],
    });
  });

  test.each([
    '"',
    '""',
    "'",
    "`",
    "AND",
    "alpha AND",
    "NOT alpha",
    "NEAR(alpha beta, 2)",
    "alpha NEAR/2 beta",
    "alp*",
    "^alpha",
    "body:alpha",
    "{body heading}: alpha",
    "- alpha",
    "alpha + beta",
    "(",
    "a:b:c",
    "\0",
    "alpha\0beta",
    "_",
    "___ __",
    "\u0301",
    "\u{1F600}",
    "\u202Ealpha\u202C",
    "שלום עולם",
    "\ud800",
    "\udfff\ud800",
    "; drop table documents; --",
    "'; delete from chunks where 1=1; --",
    "?1 :name @x $y",
    "\\ % _ [a-z]",
    "alpha ".repeat(333),
    '"'.repeat(2000),
    "\u{1D7D8}\u{1E900}\u{16A40}",
  ])("%j", async (query) => {
    for (const text of await textsOf(await search(collection, query)))
      expect(text).toMatch(/alpha|beta|near|or/);
    for (const word of queryWords(query)) store.database.words.stem(word);
  });

  test("whatever it is", async () => {
    const unit = fc.constantFrom(
      ...["grapheme", "binary"].map((one) => one as "grapheme" | "binary"),
    );
    const query = unit.chain((one) => fc.string({ unit: one, minLength: 1, maxLength: 60 }));
    await fc.assert(
      fc.asyncProperty(query, async (text) => {
        const words = await chooseWords(store.database, collection, text);
        const matches = await matchKeywords(store.database, collection.id, words, 10, null);
        const [first] = matches;
        if (first) await explainKeywords(store.database, collection.id, words, first.row);
      }),
      { numRuns: 200 },
    );
  });

  test("a prefix sign, a column and operators mean nothing", async () => {
    expect(await search(collection, "alph*")).toEqual([]);
    expect(await search(collection, "path:zzz")).toEqual(await search(collection, "path zzz"));
    expect(await search(collection, "zzz NOT alpha")).toEqual(await search(collection, "alpha"));
  });
});

const vocabulary = ["amber", "birch", "cedar", "dune", "ember", "fjord"] as const;

describe("against a naive reference", () => {
  let collection: CollectionRow;
  let chunks: { row: number; document_id: string; text: string }[];
  beforeAll(async () => {
    collection = await store.collection("naive");
    const words = fc.sample(
      fc.array(fc.constantFrom(...vocabulary), { minLength: 1, maxLength: 12 }),
      { numRuns: 300, seed: 7 },
    );
    for (let from = 0; from < words.length; from += 5)
      await store.plant(collection, {
        key: `document ${from}`,
        texts: words
          .slice(from, from + 5)
          .map((list, index) => `${list.join(" ")} n${from + index}`),
      });
    chunks = await store.database.unscoped
      .selectFrom("chunks")
      .select(["row", "document_id", "text"])
      .where("collection_id", "=", collection.id)
      .execute();
  });

  const query = fc.uniqueArray(fc.constantFrom(...vocabulary), { minLength: 1, maxLength: 3 });
  const rowsOf = (matches: readonly { row: number }[]) =>
    matches.map(({ row }) => row).toSorted((a, b) => a - b);

  test("every chunk with one of the words is found and no other, best first", async () => {
    await fc.assert(
      fc.asyncProperty(query, async (words) => {
        const found = await search(collection, words.join(" "));
        const wanted = chunks.filter(({ text }) => words.some((word) => text.includes(word)));
        expect(rowsOf(found)).toEqual(rowsOf(wanted));
        const scores = found.map(({ score }) => score);
        expect(scores).toEqual(scores.toSorted((a, b) => b - a));
      }),
      { numRuns: 30 },
    );
  });

  test("under a filter only chunks that match and belong to its documents, with the same scores", async () => {
    const documents = [...new Set(chunks.map(({ document_id: id }) => id))];
    await fc.assert(
      fc.asyncProperty(query, fc.subarray(documents), async (words, left) => {
        const all = await search(collection, words.join(" "));
        const inside = new Set(
          chunks.filter(({ document_id: id }) => left.includes(id)).map(({ row }) => row),
        );
        expect(await search(collection, words.join(" "), left)).toEqual(
          all.filter(({ row }) => inside.has(row)),
        );
      }),
      { numRuns: 60 },
    );
  });

  // SQLite 3.53.4 passes over a plain `rowid = ?` beside MATCH and returns every row that matches.
  test("the words' parts add up to the score of each chunk", async () => {
    await fc.assert(
      fc.asyncProperty(query, async (words) => {
        const chosen = await chooseWords(store.database, collection, words.join(" "));
        const found = await search(collection, words.join(" "));
        for (const { row, score } of found.slice(0, 5)) {
          const shares = await explainKeywords(store.database, collection.id, chosen, row);
          const sum = shares.reduce((total, share) => total + share.score, 0);
          expect(Math.abs(sum - score)).toBeLessThanOrEqual(1e-9 * Math.max(1, score));
        }
      }),
      { numRuns: 20 },
    );
  });

  test("a term says its stem, how often it stands there, where, and its idf", async () => {
    const one = await store.collection("one");
    await store.plant(one, {
      key: "guides/restoring.md",
      title: "Backups",
      texts: ["restored, restores, restoring a copy", "nothing of it"],
    });
    const chosen = await chooseWords(store.database, one, "restoring");
    const [match] = await matchKeywords(store.database, one.id, chosen, 1, null);
    const shares = await explainKeywords(store.database, one.id, chosen, match?.row ?? 0);
    expect(shares).toEqual([
      {
        term: "restoring",
        stem: "restor",
        // Two chunks of two have it, by their path: ln((2 − 2 + 0.5) / (2 + 0.5)) is below the floor.
        idf: 1e-6,
        tf: 4,
        score: match?.score,
        column: "body",
      },
    ]);
    expect(await wordFrequency(store.database, one.id, "restores")).toBe(2);
    const heading = await chooseWords(store.database, one, "backups");
    const [byHeading] = await explainKeywords(store.database, one.id, heading, match?.row ?? 0);
    expect(byHeading).toMatchObject({ column: "heading", tf: 1 });
  });

  test("words of one stem count together, as the index counts them", async () => {
    const chosen = await chooseWords(store.database, collection, "ember embers Ember's amber");
    const found = await search(collection, "ember embers Ember's amber");
    const [best] = found;
    const shares = await explainKeywords(store.database, collection.id, chosen, best?.row ?? 0);
    const sum = shares.reduce((total, share) => total + share.score, 0);
    expect(Math.abs(sum - (best?.score ?? 0))).toBeLessThanOrEqual(1e-9);
  });

  test("what another collection holds changes no score", async () => {
    const before = await search(collection, "amber cedar");
    const other = await store.collection("loud");
    await store.plant(other, { key: "x", texts: Array.from({ length: 50 }, () => "amber amber") });
    expect(await search(collection, "amber cedar")).toEqual(before);
  });
});

test("a deleted and a replaced document leave no word behind", async () => {
  const collection = await store.collection("leaving");
  const { document } = await store.plant(collection, {
    key: "a",
    texts: ["amber one", "amber two"],
  });
  await store.plant(collection, { key: "b", texts: ["birch"] });
  await store.plant(collection, { key: "a", texts: ["cedar three"] });
  expect(await search(collection, "amber")).toEqual([]);
  expect(await textsOf(await search(collection, "cedar"))).toEqual(["cedar three"]);
  await store.database.write(({ tables }) =>
    trashDocument(tables, collection, document.id, { by: "local", days: 7 }),
  );
  expect(await search(collection, "cedar")).toEqual([]);
  expect(await wordFrequency(store.database, collection.id, "cedar")).toBe(0);
  expect(await textsOf(await search(collection, "birch"))).toEqual(["birch"]);
});

test("whatever was added, replaced and deleted, the scores are those of a collection that never held more", async () => {
  const name = fc.constantFrom("a", "guides/b_c.md", "d\u00e9");
  const words = fc.array(
    fc.constantFrom(...vocabulary, "parseHTTPHeader2", "snake_case", "\u00e9t\u00e9"),
    {
      minLength: 1,
      maxLength: 6,
    },
  );
  const title = fc.constantFrom(undefined, "Amber", "a\0b", "\ud800 lone");
  const step = fc.record({
    key: name,
    title,
    texts: fc.array(words, { minLength: 1, maxLength: 3 }),
    remove: fc.boolean(),
  });
  let count = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const used = await store.collection(`used-${(count += 1)}`);
      const clean = await store.collection(`clean-${count}`);
      const left = new Map<string, (typeof steps)[number]>();
      const plant = (
        collection: CollectionRow,
        { key, title: called, texts }: (typeof steps)[number],
      ) =>
        store.plant(collection, {
          key,
          ...(called === undefined ? {} : { title: called }),
          texts: texts.map((list) => list.join(" ")),
        });
      for (const each of steps) {
        const { document } = await plant(used, each);
        left.set(each.key, each);
        if (!each.remove) continue;
        left.delete(each.key);
        await store.database.write(({ tables }) =>
          trashDocument(tables, used, document.id, { by: "local", days: 7 }),
        );
      }
      for (const each of left.values()) await plant(clean, each);
      for (const query of ["amber", "birch dune", "parse_header", "snake", "ete guides", "lone"]) {
        const scores = async (collection: CollectionRow) =>
          (await search(collection, query)).map(({ score }) => score);
        expect(await scores(used), query).toEqual(await scores(clean));
      }
    }),
    { numRuns: 40 },
  );
});

describe("words that are left out", () => {
  const dropped = async (collection: CollectionRow, query: string) =>
    (await chooseWords(store.database, collection, query))
      .filter((entry) => entry.dropped !== null)
      .map(({ word, dropped: why }) => `${word}: ${why}`);

  test("function words, unless there is nothing else", async () => {
    const collection = await store.collection("functional");
    await store.plant(collection, { key: "a", texts: ["what is it", "the dune"] });
    expect(await dropped(collection, "what is the dune")).toEqual([
      "what: common",
      "is: common",
      "the: common",
    ]);
    expect(await dropped(collection, "what is it")).toEqual([]);
    expect(await textsOf(await search(collection, "what is it"))).toEqual(["what is it"]);
  });

  test("those behind the first 64", async () => {
    const collection = await store.collection("many");
    const query = Array.from({ length: 70 }, (_, index) => `w${index}x`).join(" ");
    const left = await dropped(collection, query);
    expect(left.length).toBeGreaterThan(0);
    expect(left.every((entry) => entry.endsWith("too many"))).toBe(true);
    const kept = await chooseWords(store.database, collection, query);
    expect(kept.filter((entry) => entry.dropped === null)).toHaveLength(64);
  });

  test("in many chunks those that stand in half of them, in long queries only, and never all", async () => {
    const collection = await store.collection("large");
    const texts = Array.from(
      { length: 2000 },
      (_, index) => `amber birch cedar dune ${index === 7 ? "fjord" : `n${index}`}`,
    );
    await store.plant(collection, { key: "a", texts });
    expect(await dropped(collection, "amber birch fjord")).toEqual([]);
    expect(await dropped(collection, "amber birch cedar fjord")).toEqual([
      "amber: common",
      "birch: common",
      "cedar: common",
    ]);
    expect(await dropped(collection, "amber birch cedar dune")).toEqual([]);
    expect(await textsOf(await search(collection, "amber birch cedar fjord"))).toEqual([texts[7]]);
  });
});
