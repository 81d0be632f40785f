import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseStrictJson, type StrictJson } from "./parse-strict-json.ts";

const limits = { depth: 8, members: 1000, elements: 1000 };
const parse = (text: string): StrictJson =>
  parseStrictJson(text, limits, (reason) => new Error(reason));

function toPlain(value: StrictJson): unknown {
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([name, item]) => [name, toPlain(item)]));
  return Array.isArray(value) ? value.map((item: StrictJson) => toPlain(item)) : value;
}

type Outcome = { value: unknown } | { refusal: string };

function outcomeOf(read: () => unknown): Outcome {
  try {
    return { value: read() };
  } catch (error) {
    return { refusal: String(error) };
  }
}

describe("parseStrictJson", () => {
  test("agrees with JSON.parse on every value", () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 4, stringUnit: "grapheme" }),
        fc.integer({ min: 0, max: 2 }),
        (value, indent) => {
          const text = JSON.stringify(value, null, indent);
          expect(toPlain(parse(text))).toEqual(JSON.parse(text));
        },
      ),
    );
  });

  test("refuses whatever JSON.parse refuses, and reads nothing differently", () => {
    const piece = fc.constantFrom(
      ...'{}[],:" \n\t\\-+.eE0123a'.split(""),
      "true",
      "nul",
      "null",
      '"a"',
      '"\\u0061"',
      '"\\x"',
      "\u0001",
      "\u00a0",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join("");
        const expected = outcomeOf(() => JSON.parse(text) as unknown);
        const ours = outcomeOf(() => toPlain(parse(text)));
        if ("value" in ours) expect(ours).toEqual(expected);
        else if (!/declared twice|lone surrogate|nesting deeper/.test(ours.refusal))
          expect(expected).toHaveProperty("refusal");
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    ['{"a":1,"a":2}', '"a" is declared twice'],
    ['{"a":1,"\\u0061":2}', '"a" is declared twice'],
    ['{"__proto__":1,"__proto__":2}', "declared twice"],
    ['"\\ud800"', "lone surrogate"],
    ["[1] [", "bytes after the JSON value"],
    ["[".repeat(100_000), "nesting deeper than 8"],
    [`[${"1,".repeat(1000)}1]`, "more than 1000 elements"],
    ["NaN", "not JSON"],
    ["[1", "ends in the middle"],
    ['"\\u12"', "bad escape"],
  ])("%.30s is refused", (text, reason) => {
    expect(() => parse(text)).toThrow(reason);
  });

  test("names of Object.prototype stay names", () => {
    const value = parse('{"__proto__":{"polluted":1},"constructor":2}');
    expect([...(value as Map<string, StrictJson>).keys()]).toEqual(["__proto__", "constructor"]);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});
