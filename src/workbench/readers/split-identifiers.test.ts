import fc from "fast-check";
import { expect, test } from "vitest";
import { splitIdentifiers } from "./split-identifiers.ts";

test.each([
  ["parseHTTPHeader2", "parse http header 2"],
  ["camelCase PascalCase", "camel case pascal case"],
  ["snake_case_name kebab-case SCREAMING_CASE", "snake case name kebab case screaming case"],
  ["utf8 h264Decoder", "utf 8 h 264 decoder"],
  ["getURL iOS XMLHttpRequest", "get url i os xml http request"],
  ["größeÄndern", "größe ändern"],
  ["obj.readFile(readFile)", "read file read file"],
  ["plain words, Sentences and 2024-01-01 add nothing", ""],
  ["don't __init__ $el _private", ""],
])("%j gives %j", (text, words) => {
  expect(splitIdentifiers(text)).toBe(words);
});

test("encoded data of hundreds of characters adds nothing", () => {
  expect(splitIdentifiers("aB3".repeat(100))).toBe("");
});

test("any text gives lower-cased words that occur in it, in time in proportion to its length", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), (text) => {
      const lower = text.toLowerCase();
      for (const word of splitIdentifiers(text).split(" ")) expect(lower).toContain(word);
    }),
  );
  splitIdentifiers("A".repeat(1_000_000));
  splitIdentifiers("a-".repeat(500_000));
});
