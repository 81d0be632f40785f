import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { coerceStrings } from "./coerce-strings.ts";

const filter: z.ZodType = z.lazy(() =>
  z.union([z.strictObject({ and: z.array(filter) }), z.strictObject({ field: z.string() })]),
);
const input = z.strictObject({
  text: z.string(),
  count: z.int().optional(),
  ratio: z.number().nullable().optional(),
  flag: z.boolean().optional(),
  mode: z.enum(["on", "1"]).optional(),
  level: z.literal([1, 2]).optional(),
  tags: z.array(z.string()).optional(),
  numbers: z.array(z.number()).optional(),
  filter: filter.optional(),
  filters: z.array(filter).optional(),
  either: z.union([z.number(), z.boolean()]).optional(),
  textOrNumber: z.union([z.number(), z.string()]).optional(),
  name: z.string().nullable().optional(),
  values: z.record(z.string(), z.unknown()).optional(),
});
const schema = z.toJSONSchema(input, { io: "input" }) as Parameters<typeof coerceStrings>[0];

describe("coerceStrings", () => {
  test.each<[string, string | string[], unknown]>([
    ["text", "5", "5"],
    ["text", "true", "true"],
    ["text", "null", "null"],
    ["count", "5", 5],
    ["count", "-5", -5],
    ["count", "1.5", 1.5],
    ["count", "", ""],
    ["count", " 5", " 5"],
    ["count", "0x10", "0x10"],
    ["count", "05", "05"],
    ["count", "Infinity", "Infinity"],
    ["count", ["1", "2"], ["1", "2"]],
    ["ratio", "0.25", 0.25],
    ["ratio", "1e-3", 0.001],
    ["ratio", "null", null],
    ["flag", "true", true],
    ["flag", "false", false],
    ["flag", "yes", "yes"],
    ["flag", "", ""],
    ["mode", "1", "1"],
    ["level", "2", 2],
    ["level", "3", 3],
    ["tags", "a,b", ["a,b"]],
    ["tags", ["a", "b"], ["a", "b"]],
    ["tags", "1", ["1"]],
    ["numbers", ["1", "x"], [1, "x"]],
    ["filter", '{"field":"a"}', { field: "a" }],
    ["filter", "{broken", "{broken"],
    ["filter", "[1]", "[1]"],
    ["filters", '{"and":[]}', [{ and: [] }]],
    ["either", "2", 2],
    ["either", "true", true],
    ["textOrNumber", "2", "2"],
    ["name", "null", null],
    ["name", "x", "x"],
    ["values", '{"a":1}', { a: 1 }],
    ["unknown", "1", "1"],
    ["unknown", ["1", "2"], ["1", "2"]],
    ["toString", "1", "1"],
    ["__proto__", "1", "1"],
  ])("%s=%j is %j", (name, given, wanted) => {
    const coerced = coerceStrings(schema, Object.fromEntries([[name, given]]));
    expect(Object.entries(coerced)).toEqual([[name, wanted]]);
  });

  test("what the schema takes comes through text unchanged", () => {
    const values = fc.record(
      {
        text: fc.string(),
        count: fc.integer(),
        ratio: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
        flag: fc.boolean(),
        tags: fc.array(fc.string(), { minLength: 1 }),
        numbers: fc.array(fc.integer(), { minLength: 1 }),
        values: fc.dictionary(fc.string(), fc.jsonValue()),
      },
      { requiredKeys: ["text"] },
    );
    const spell = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));
    fc.assert(
      fc.property(values, (value) => {
        const texts = Object.entries(value).map(([name, part]): [string, string | string[]] => [
          name,
          Array.isArray(part) ? part.map(spell) : spell(part),
        ]);
        const back = coerceStrings(schema, Object.fromEntries(texts));
        expect(JSON.stringify(back)).toBe(JSON.stringify(value));
      }),
    );
  });

  test("no text makes it raise", () => {
    const names = Object.keys(input.shape);
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.string(), (name, text) => {
        expect(Object.keys(coerceStrings(schema, { [name]: text }))).toEqual([name]);
      }),
    );
  });
});
