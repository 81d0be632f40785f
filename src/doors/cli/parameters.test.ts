import { expect, test } from "vitest";
import { z } from "zod";
import { defineOperation, type Operation } from "#operations/index.ts";
import { parsePattern, toParameters } from "./parameters.ts";

function operation(input: z.ZodType, command: string): Operation {
  return defineOperation({
    name: "things.do",
    summary: "Do things",
    input,
    output: z.object({}),
    effect: "read",
    permission: "public",
    http: null,
    cli: { command },
    run: async () => ({}),
  });
}

test("words, required, optional and several arguments are told apart", () => {
  expect(parsePattern("docs read <document> [range] [rest...]")).toEqual({
    words: ["docs", "read"],
    arguments: [
      { name: "document", required: true, repeated: false },
      { name: "range", required: false, repeated: false },
      { name: "rest", required: false, repeated: true },
    ],
  });
});

test.each(["docs <document> read", "Docs", "docs <document", "docs  read"])(
  "%j is no pattern",
  (command) => expect(() => parsePattern(command)).toThrow(TypeError),
);

test("every field becomes an argument or an option with what its schema says", () => {
  const input = z.strictObject({
    query: z.string().describe("What"),
    collections: z.array(z.string()).optional().describe("Where"),
    entries: z.array(z.int()).optional(),
    mode: z.enum(["a", "b"]).default("a"),
    minScore: z.number().optional(),
    dryRun: z.boolean().default(false),
    filter: z.union([z.strictObject({ x: z.int() }), z.strictObject({ y: z.int() })]).optional(),
    note: z.string().nullable(),
  });
  const found = toParameters(operation(input, "do <query>"));
  const short = found.map(({ field, name, place, kind, required, repeated, choices, standard }) => [
    field,
    `${place} ${name}`,
    kind,
    required ? "required" : "",
    repeated ? "repeated" : "",
    choices,
    standard,
  ]);
  expect(short).toEqual([
    ["query", "argument query", "text", "required", "", null, null],
    ["collections", "option collection", "text", "", "repeated", null, null],
    ["entries", "option entry", "number", "", "repeated", null, null],
    ["mode", "option mode", "text", "", "", ["a", "b"], "a"],
    ["minScore", "option min-score", "number", "", "", null, null],
    ["dryRun", "option dry-run", "switch", "", "", null, "false"],
    ["filter", "option filter", "json", "", "", null, null],
    ["note", "option note", "text", "required", "", null, null],
  ]);
  expect(found[0]?.description).toBe("What");
});

test("an argument that is no field is refused by name", () => {
  expect(() => toParameters(operation(z.strictObject({}), "do <nothing>"))).toThrow(
    'things.do has no input field "nothing"',
  );
});

test("a schema that refers to itself does not hang", () => {
  type Tree = { and: Tree[] } | { leaf: string };
  const tree: z.ZodType<Tree> = z.lazy(() =>
    z.union([z.strictObject({ and: z.array(tree) }), z.strictObject({ leaf: z.string() })]),
  );
  const [filter] = toParameters(operation(z.strictObject({ filter: tree }), "do"));
  expect(filter?.kind).toBe("json");
});
