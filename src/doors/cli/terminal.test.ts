import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  displayWidth,
  showBytes,
  showDuration,
  showSafely,
  table,
  wrap,
  type Output,
} from "./terminal.ts";

function output(columns: number | null): Output {
  return {
    isTerminal: columns !== null,
    columns,
    stream: process.stdout,
    line: () => {},
    style: (_, text) => text,
  };
}

test("no control character of a text reaches the terminal, line breaks and tabs do", () => {
  expect(showSafely("a\u001b[2Jb\r\n\tc\u009bd\u202e")).toBe("a␛[2Jb␍\n\tc�d�");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const shown = showSafely(text);
      expect(shown.length).toBe(text.length);
      // oxlint-disable-next-line no-control-regex
      expect(shown).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
      expect(stripVTControlCharacters(shown)).toBe(shown);
    }),
  );
});

test.each([
  ["abc", 3],
  ["日本", 4],
  ["e\u0301", 1],
  ["\u001b[1mbold\u001b[22m", 4],
  ["👍🏽", 2],
  ["", 0],
])("%j takes %i columns", (text, width) => expect(displayWidth(text)).toBe(width));

test("wrapping keeps every word in order and no line is too long unless a word is", () => {
  const words = fc.array(fc.stringMatching(/^[a-z]{1,15}$/), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(words, fc.integer({ min: 20, max: 60 }), (list, columns) => {
      const lines = wrap(list.join(" "), columns, "  ").split("\n");
      expect(lines.flatMap((line) => line.trim().split(" "))).toEqual(list);
      for (const line of lines) {
        expect(line.startsWith("  ")).toBe(true);
        expect(line.length <= Math.max(columns, 22)).toBe(true);
      }
    }),
  );
});

test("where nobody watches nothing is wrapped", () => {
  const long = "word ".repeat(100).trim();
  expect(wrap(long, null)).toBe(long);
});

test("columns line up whatever is in them, and the last one is wrapped below itself", () => {
  const rows = [
    ["日本", "12", "one two three four five six seven eight nine ten"],
    ["b", "3", "short"],
  ];
  expect(table(["name", "n", "text"], rows, output(40))).toBe(
    [
      "name  n   text",
      "日本  12  one two three four five six",
      "          seven eight nine ten",
      "b     3   short",
    ].join("\n"),
  );
  expect(table(["name", "n", "text"], rows, output(null)).split("\n")).toHaveLength(3);
});

test("seconds and bytes are said as people say them", () => {
  expect([0.4, 59.6, 200, 7500].map(showDuration)).toEqual([
    "0 s",
    "1 min 0 s",
    "3 min 20 s",
    "2 h 5 min",
  ]);
  expect([0, 999, 1000, 1_234_567, 5e15].map(showBytes)).toEqual([
    "0 B",
    "999 B",
    "1.0 kB",
    "1.2 MB",
    "5000.0 TB",
  ]);
});
