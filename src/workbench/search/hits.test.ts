import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { makeSnippet } from "./hits.ts";

const among = (...words: string[]) => {
  const wanted = new Set(words);
  return (word: string) => wanted.has(word.toLowerCase());
};
const shown = (text: string, matches: (word: string) => boolean) => {
  const { snippet, highlights } = makeSnippet(text, matches);
  return { snippet, words: highlights.map(([from, to]) => snippet.slice(from, to)) };
};
const filler = (count: number) =>
  Array.from({ length: count }, (_, index) => `filler${index}`).join(" ");

describe("by hand", () => {
  test("a short passage is shown whole, without the blanks around it", () => {
    expect(shown("  \n Restore the backup.\n\n", among("backup"))).toEqual({
      snippet: "Restore the backup.",
      words: ["backup"],
    });
  });

  test("the window is where most of the words stand", () => {
    const text = `backup ${filler(80)} then restore the backup of the backup ${filler(80)}`;
    const { snippet, words } = shown(text, among("backup", "restore"));
    expect(words).toEqual(["restore", "backup", "backup"]);
    expect(snippet.length).toBeLessThanOrEqual(320);
    expect(text).toContain(snippet);
  });

  test("words in other letters and with accents are whole words", () => {
    expect(shown("Ein naïver Café-Besuch in Żółw", among("café", "żółw")).words).toEqual([
      "Café",
      "Żółw",
    ]);
  });

  test("without any match it is the beginning", () => {
    expect(shown(filler(100), () => false)).toMatchObject({
      snippet: expect.stringMatching(/^filler0 /),
      words: [],
    });
  });

  test("a blank passage has an empty snippet", () => {
    expect(makeSnippet(" \n ", () => true)).toEqual({ snippet: "", highlights: [] });
    expect(makeSnippet("", () => true)).toEqual({ snippet: "", highlights: [] });
  });
});

describe("for any text", () => {
  const word = fc.oneof(
    fc.constantFrom(
      "backup",
      "Backup",
      "restore",
      "the",
      "é",
      "漢字",
      "👩‍👩‍👧",
      "\ud83d\ude00",
      "x".repeat(400),
    ),
    fc.string({ unit: "grapheme", maxLength: 12 }),
    fc.string({ unit: "binary", maxLength: 6 }),
  );
  const blank = fc.constantFrom(" ", "\n", "\t", "\n\n", "", " ");
  const text = fc
    .array(fc.tuple(word, blank), { maxLength: 200 })
    .map((parts) => parts.flat().join("").toWellFormed());

  test("the snippet is a part of it, at most 320 characters, never half a character", () => {
    fc.assert(
      fc.property(text, (passage) => {
        const { snippet } = makeSnippet(passage, among("backup", "漢字", "é"));
        expect(snippet.length).toBeLessThanOrEqual(320);
        expect(passage).toContain(snippet);
        expect(snippet.isWellFormed()).toBe(true);
        expect(snippet === "").toBe(passage.trim() === "");
      }),
      { numRuns: 300 },
    );
  });

  test("highlights lie inside it, in order, apart, each on one matching word", () => {
    const matches = among("backup", "restore", "漢字");
    fc.assert(
      fc.property(text, (passage) => {
        const { snippet, highlights } = makeSnippet(passage, matches);
        let end = 0;
        for (const [from, to] of highlights) {
          expect(from).toBeGreaterThanOrEqual(end);
          expect(to).toBeLessThanOrEqual(snippet.length);
          expect(matches(snippet.slice(from, to))).toBe(true);
          end = to;
        }
      }),
      { numRuns: 300 },
    );
  });

  test("a passage with a short match shows one", () => {
    fc.assert(
      fc.property(text, (passage) => {
        const around = `${passage} backup ${passage}`;
        expect(makeSnippet(around, among("backup")).highlights.length).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });
});
