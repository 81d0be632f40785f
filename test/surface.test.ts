import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { type Operation, operations } from "#operations/index.ts";
import { compareSurfaces } from "../scripts/compare-surface.ts";
import {
  describeFields,
  describeSurface,
  type Surface,
  toSchema,
} from "../scripts/describe-surface.ts";

const published = JSON.parse(
  readFileSync(join(import.meta.dirname, "fixtures", "surface.json"), "utf8"),
) as Surface;

test("no name is gone and no field takes less than was published", () => {
  expect(compareSurfaces(published, describeSurface()).broken).toEqual([]);
});

test("what is new is published with `npm run surface`", () => {
  const { added } = compareSurfaces(published, describeSurface());
  expect(added, "run: npm run surface").toEqual([]);
  expect(describeSurface(), "run: npm run surface").toEqual(published);
});

const fieldsOf = (schema: z.ZodType, side: "input" | "output") =>
  describeFields(toSchema(schema, side), side);

test("fields are dotted, with what they may be", () => {
  const note = z.object({
    text: z.string().min(1).max(9),
    kind: z.enum(["a", "b"]).default("a"),
    place: z.object({ line: z.int().nullable() }).optional(),
    tags: z.array(z.string()).max(3),
    extra: z.record(z.string(), z.number()),
  });
  expect(fieldsOf(note, "input")).toEqual({
    text: "string, characters >= 1, characters <= 9",
    kind: '"a", "b", optional',
    place: "object, optional",
    "place.line": "integer, null",
    tags: "array, entries <= 3",
    "tags[]": "string",
    extra: "object",
    "extra{}": "number",
  });
  expect(
    fieldsOf(z.union([note.pick({ text: true }), z.object({ id: z.int() })]), "output"),
  ).toEqual({
    text: "string",
    id: "integer",
  });
  expect(fieldsOf(z.object({ part: z.object({ id: z.int() }).nullable() }), "output")).toEqual({
    part: "object, null, always",
    "part.id": "integer, always",
  });
});

/** A surface of one operation with these shapes. */
function surfaceOf(input: z.ZodType, output: z.ZodType = z.object({})): Surface {
  const [operation] = operations;
  if (!operation) throw new Error("an empty table");
  const surface = describeSurface([
    { ...operation, name: "notes.pin", input, output } as Operation,
  ]);
  return { ...surface, commands: [] };
}

const brokenBy = (before: Surface, after: Surface) => compareSurfaces(before, after).broken;
const shape = (fields: z.ZodRawShape) => z.strictObject(fields);

test.each([
  ["a field", shape({ a: z.string() }), shape({}), ["a is gone"]],
  [
    "a type",
    shape({ a: z.union([z.string(), z.int()]) }),
    shape({ a: z.string() }),
    ["a takes integer no longer"],
  ],
  [
    "a choice",
    shape({ a: z.enum(["x", "y"]) }),
    shape({ a: z.enum(["x"]) }),
    ['a takes "y" no longer'],
  ],
  [
    "free text",
    shape({ a: z.string() }),
    shape({ a: z.enum(["x"]) }),
    ["a takes string no longer"],
  ],
  [
    "room",
    shape({ a: z.int().max(100) }),
    shape({ a: z.int().max(50) }),
    ["a is now limited to <= 50"],
  ],
  [
    "leaving out",
    shape({ a: z.string().optional() }),
    shape({ a: z.string() }),
    ["a must now be given"],
  ],
  ["a quiet start", shape({}), shape({ a: z.string() }), ["a is new and must be given"]],
])("an input that loses %s breaks its callers", (_what, before, after, faults) => {
  expect(brokenBy(surfaceOf(before), surfaceOf(after))).toEqual(
    faults.map((fault) => `notes.pin: input ${fault}`),
  );
});

test.each([
  ["a field", { a: z.string() }, {}, ["a is gone"]],
  [
    "its presence",
    { a: z.string() },
    { a: z.string().optional() },
    ["a is not always there any more"],
  ],
  ["a value for sure", { a: z.string() }, { a: z.string().nullable() }, ["a may now be null"]],
  ["whole numbers", { a: z.int() }, { a: z.number() }, ["a may now be number"]],
])("an output that loses %s breaks its readers", (_what, before, after, faults) => {
  const none = shape({});
  expect(brokenBy(surfaceOf(none, z.object(before)), surfaceOf(none, z.object(after)))).toEqual(
    faults.map((fault) => `notes.pin: output ${fault}`),
  );
});

test("more than before breaks nobody, and is named as added", () => {
  const before = surfaceOf(
    shape({ a: z.enum(["x"]), n: z.int().max(5) }),
    z.object({ state: z.enum(["on"]) }),
  );
  const after = surfaceOf(
    shape({ a: z.string(), n: z.number().max(9).optional(), b: z.string().optional() }),
    z.object({ state: z.enum(["on", "off"]), more: z.string() }),
  );
  const { broken, added } = compareSurfaces(before, after);
  expect(broken).toEqual([]);
  expect(added).toEqual([
    "notes.pin: input a",
    "notes.pin: input n",
    "notes.pin: input b",
    "notes.pin: output state",
    "notes.pin: output more",
  ]);
});

test("an operation, an address, a command, a code, a status or a variable that goes is named", () => {
  const now = describeSurface();
  const { "search.query": query, ...others } = now.operations;
  if (!query) throw new Error("no search.query");
  const gone = compareSurfaces(now, {
    ...now,
    operations: { ...others, "spaces.list": { ...query, input: {} } },
    commands: now.commands.slice(1),
    errors: { ...now.errors, not_found: 410 },
    notices: now.notices.slice(1),
    settings: { ...now.settings, "server.port": "CANDOR_PORT, integer, >= 0, <= 65535" },
  }).broken;
  expect(gone).toContain("operation search.query is gone");
  expect(gone).toContain("spaces.list: GET /api/v1/spaces became POST /api/v1/search");
  expect(gone).toContain(`command ${now.commands[0]} is gone`);
  expect(gone).toContain("error not_found answers 410, no longer 404");
  expect(gone).toContain(`notice ${now.notices[0]} is gone`);
  expect(gone).toContain("setting server.port takes CANDOR_SERVER_PORT no longer");
});
