import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  EmbeddingInferenceError,
  InputInvalidError,
  TextWithoutTokensError,
} from "#base/errors/index.ts";
import { editJson, writeStaticModel } from "../../../test/fixtures/change-static-model.ts";
import { embedTexts } from "./embed-texts.ts";
import { loadStaticModel, type StaticModel } from "./load-static-model.ts";
import { explainPairs } from "./token-pairs.ts";

const root = new URL("../../../", import.meta.url);
const shipped = loadStaticModel(fileURLToPath(new URL("assets/candor-static-256", root)));
const tiny = loadStaticModel(fileURLToPath(new URL("test/fixtures/static-16", root)));

/** The cosine of the vectors that `embed` gives. */
function cosineOf(model: StaticModel, query: string, passage: string): number {
  const a = embedTexts(model, [query], "query").vectors;
  const b = embedTexts(model, [passage], "passage").vectors;
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? Number.NaN), 0);
}

const query = "getUserName from café";
const passage =
  "The user's name is read from the HTTPServer; cafés are music to a queen — naïve Ünïcode.";

test("the shares add up to the cosine of the vectors", () => {
  const answer = explainPairs(shipped, query, passage, 50);
  expect(answer.pairs).toHaveLength(50);
  const listed = answer.pairs.reduce((sum, pair) => sum + pair.share, 0);
  expect(Math.abs(listed + answer.otherShare - answer.sum)).toBeLessThan(1e-12);
  expect(answer.cosine).toBe(cosineOf(shipped, query, passage));
  expect(Math.abs(answer.sum - answer.cosine)).toBeLessThanOrEqual(1e-6);
  expect(Math.abs(answer.cosine)).toBeGreaterThan(0.1);
});

test("each share is the dot product of two rows over both lengths, largest first, places in the original text", () => {
  const { ids: queryIds, from: queryFrom, to: queryTo } = shipped.tokenizer.offsets(query);
  const { ids: passageIds, from, to } = shipped.tokenizer.offsets(passage);
  const row = (id: number): number[] =>
    Array.from(
      { length: 256 },
      (_, j) => (shipped.table[id * 256 + j] ?? 0) * (shipped.scales[id] ?? 0),
    );
  const lengthOf = (ids: number[]): number =>
    Math.hypot(
      ...ids.map(row).reduce((sum, values) => sum.map((value, j) => value + (values[j] ?? 0))),
    );
  const product = lengthOf(queryIds) * lengthOf(passageIds);
  const all = queryIds.flatMap((a, i) =>
    passageIds.map((b, j) => ({
      share: row(a).reduce((sum, value, k) => sum + value * (row(b)[k] ?? 0), 0) / product,
      query: [queryFrom[i], queryTo[i]],
      passage: [from[j], to[j]],
    })),
  );
  all.sort((a, b) => Math.abs(b.share) - Math.abs(a.share));
  const { pairs } = explainPairs(shipped, query, passage, 50);
  for (const [index, pair] of pairs.entries()) {
    expect(pair.share).toBeCloseTo(all[index]?.share ?? Number.NaN, 12);
    expect([pair.query.from, pair.query.to]).toEqual(all[index]?.query);
    expect([pair.passage.from, pair.passage.to]).toEqual(all[index]?.passage);
    expect(pair.query.text).toBe(query.slice(pair.query.from, pair.query.to));
    expect(pair.passage.text).toBe(passage.slice(pair.passage.from, pair.passage.to));
  }
  expect(pairs.map((pair) => pair.query.text)).toContain("User");
});

test("the sum holds for any two texts", () => {
  const word = fc.constantFrom("cat", "dog", "readFile", "the", "Z9", "-", "queen", "[PAD]", "é");
  const text = fc.array(word, { minLength: 1, maxLength: 20 }).map((words) => words.join(" "));
  fc.assert(
    fc.property(text, text, fc.integer({ min: 1, max: 60 }), (a, b, limit) => {
      fc.pre(!/^[[\]PAD ]*$/.test(a) && !/^[[\]PAD ]*$/.test(b));
      for (const model of [tiny, shipped]) {
        const answer = explainPairs(model, a, b, limit);
        expect(Math.abs(answer.sum - cosineOf(model, a, b))).toBeLessThanOrEqual(1e-6);
        expect(answer.pairs.length).toBeLessThanOrEqual(limit);
        const places = answer.pairs.map((pair) => `${pair.query.from} ${pair.passage.from}`);
        expect(new Set(places).size).toBe(places.length);
      }
    }),
    { numRuns: 100 },
  );
});

test("tokens beyond the model's limit have no share", () => {
  const long = `${"cat ".repeat(16)}dog`;
  const { pairs, sum } = explainPairs(tiny, "dog", long, 50);
  expect(pairs.map((pair) => pair.passage.text)).toEqual(Array(16).fill("cat"));
  expect(sum).toBeCloseTo(cosineOf(tiny, "dog", "cat"), 6);
});

test("shares of a prefix count as other shares, places do not count the prefix", () => {
  const folder = mkdtempSync(join(tmpdir(), "candor-pairs-"));
  writeStaticModel(folder, (files) =>
    editJson(files, "config.json", (config) => (config["prefixes"] = { query: "search query: " })),
  );
  const model = loadStaticModel(folder);
  rmSync(folder, { recursive: true });
  const answer = explainPairs(model, "red cat", "blue dog", 50);
  expect(new Set(answer.pairs.map((pair) => pair.query.text))).toEqual(new Set(["red", "cat"]));
  expect(new Set(answer.pairs.map((pair) => pair.query.from))).toEqual(new Set([0, 4]));
  expect(Math.abs(answer.otherShare)).toBeGreaterThan(1e-6);
  expect(Math.abs(answer.sum - cosineOf(model, "red cat", "blue dog"))).toBeLessThanOrEqual(1e-6);
});

test("what cannot be explained is an error", () => {
  expect(() => explainPairs(tiny, "", "cat", 50)).toThrow(TextWithoutTokensError);
  expect(() => explainPairs(tiny, "cat", " ", 50)).toThrow(TextWithoutTokensError);
  expect(() => explainPairs(tiny, "cat", "[PAD]", 50)).toThrow(EmbeddingInferenceError);
  for (const limit of [0, -1, 1.5, 1001, Number.NaN])
    expect(() => explainPairs(tiny, "cat", "dog", limit)).toThrow(InputInvalidError);
  const long = "cat ".repeat(3000);
  expect(() => explainPairs(shipped, long, long, 50)).toThrow(/3000 × 3000 tokens/);
});
