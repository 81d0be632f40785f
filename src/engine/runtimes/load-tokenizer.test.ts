import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Tokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { loadTokenizer } from "./load-tokenizer.ts";
import { splitCamelCase } from "./split-camel-case.ts";
import { createTokenizerSteps } from "./tokenizer-steps.ts";

const root = new URL("../../../", import.meta.url);
const folders = {
  "candor-static-256": new URL("assets/candor-static-256/", root),
  "static-16": new URL("test/fixtures/static-16/", root),
};
const expectedFolder = new URL("test/fixtures/static-expected/", root);
const texts = JSON.parse(readFileSync(new URL("texts.json", expectedFolder), "utf8")) as string[];
const expected = JSON.parse(readFileSync(new URL("expected.json", expectedFolder), "utf8")) as {
  [model in keyof typeof folders]: { ids: number[]; places: [number, number][] }[];
};
const shipped = loadTokenizer(fileURLToPath(folders["candor-static-256"]));
const shippedFile = readFileSync(new URL("tokenizer.json", folders["candor-static-256"]));
const anyText = fc.string({ unit: "binary", maxLength: 40 });

describe.each(["candor-static-256", "static-16"] as const)("%s", (name) => {
  const tokenizer = loadTokenizer(fileURLToPath(folders[name]));

  test.each(texts.map((text, index) => ({ text, index })))("ids of $text", ({ text, index }) => {
    const ids = expected[name][index]?.ids;
    expect(tokenizer.encode(text).ids).toEqual(ids);
    expect(tokenizer.count(text)).toBe(ids?.length);
    expect(tokenizer.offsets(text).ids).toEqual(ids);
  });

  test.each(texts.map((text, index) => ({ text, index })))("places of $text", ({ text, index }) => {
    const { from, to } = tokenizer.offsets(text);
    const places = [...from].map((begin, token) => [begin, to[token]]);
    expect(places).toEqual(expected[name][index]?.places);
  });
});

test("the ids are those of the library, whatever the text and however often", () => {
  const library = new Tokenizer(JSON.parse(shippedFile.toString()) as object, {});
  const { steps } = createTokenizerSteps(shippedFile);
  fc.assert(
    fc.property(fc.oneof(anyText, fc.string({ unit: "grapheme", maxLength: 40 })), (text) => {
      const { ids } = library.encode(steps.prepare(text), { add_special_tokens: false });
      expect(shipped.encode(text).ids).toEqual(ids);
      expect(shipped.encode(text).ids).toEqual(ids);
      expect(shipped.offsets(text).ids).toEqual(ids);
    }),
    { numRuns: 500 },
  );
});

test("every character that is normalised alone gives in company what the library gives", () => {
  const library = new Tokenizer(JSON.parse(shippedFile.toString()) as object, {});
  const { steps } = createTokenizerSteps(shippedFile);
  const character = fc
    .oneof(
      fc.integer({ min: 0, max: 0x2ff }),
      fc.integer({ min: 0x2000, max: 0x20cf }),
      fc.integer({ min: 0x2100, max: 0x2bff }),
    )
    .map((code) => String.fromCharCode(code));
  fc.assert(
    fc.property(fc.array(character, { maxLength: 30 }), (characters) => {
      const text = characters.join("");
      expect(steps.normalize(text)).toBe(library.normalizer?.(text));
    }),
    { numRuns: 2000 },
  );
});

test("places lie in the text, in order, and hold the token's own letters", () => {
  const word = fc.constantFrom(
    "getUser",
    "HTTPServer",
    "café",
    "naïve",
    "X",
    " ",
    "-",
    "中",
    "é",
    "🙂",
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(word, anyText), { maxLength: 12 }), (parts) => {
      const text = parts.join("");
      const { ids, from, to } = shipped.offsets(text);
      for (let index = 0; index < ids.length; index += 1) {
        const [begin = -1, end = -1] = [from[index], to[index]];
        expect(begin).toBeLessThan(end);
        expect(end).toBeLessThanOrEqual(text.length);
        if (index > 0) expect(begin).toBeGreaterThanOrEqual(from[index - 1] ?? 0);
      }
    }),
    { numRuns: 500 },
  );
  const { from, to } = shipped.offsets("getUserName of HTTPServers");
  const slices = [...from].map((begin, index) =>
    "getUserName of HTTPServers".slice(begin, to[index]),
  );
  expect(slices).toEqual(["get", "User", "Name", "of", "HTTP", "Servers"]);
});

test("camelCase is split as the format defines it, in linear time", () => {
  const reference = (text: string): string =>
    text.replaceAll(/([A-Z]+)([A-Z][a-z])/g, "$1 $2").replaceAll(/([a-z0-9])([A-Z])/g, "$1 $2");
  const piece = fc.constantFrom(
    "A",
    "B",
    "Zz",
    "a",
    "b",
    "1",
    " ",
    "_",
    "É",
    "é",
    "HTTP",
    "Server",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const text = pieces.join("");
      expect(splitCamelCase(text)).toBe(reference(text));
    }),
    { numRuns: 2000 },
  );
  // The definition's own patterns would need some 10^11 steps for this.
  const capitals = "A".repeat(1_000_000);
  expect(splitCamelCase(`${capitals}b`)).toBe(`${capitals.slice(1)} Ab`);
});
