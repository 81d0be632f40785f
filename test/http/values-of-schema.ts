import fc from "fast-check";
import { anyId, dottedField, knownValue, singular } from "./known-values.ts";

/** A JSON Schema as OpenAPI documents hold it, as far as ours use it. */
export type Schema = {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly prefixItems?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly format?: string;
};

/** How deep values are made; what holds itself ends there. */
const deepest = 5;

/** Values that a schema of this document accepts. Fields may hold what the server told under their name. */
export function valuesOfSchema(
  document: unknown,
  schema: Schema,
  name = "",
  depth = 0,
): fc.Arbitrary<unknown> {
  const inner = (part: Schema, partName = name) =>
    valuesOfSchema(document, part, partName, depth + 1);
  if (schema.$ref !== undefined) {
    const target = resolveReference(document, schema.$ref);
    return depth > deepest ? fc.constant({}) : inner(target);
  }
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const choices = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  if (choices.length > 0) {
    // At the end of what holds itself, whatever needs no more of it.
    const flat =
      depth > deepest ? choices.filter((one) => !JSON.stringify(one).includes("$ref")) : choices;
    return fc.oneof(...(flat.length > 0 ? flat : choices).map((one) => inner(one)));
  }
  if (Array.isArray(schema.type))
    return fc.oneof(...schema.type.map((type: string) => inner({ ...schema, type })));
  switch (schema.type) {
    case "string":
      return texts(schema, name);
    case "integer":
      return fc.oneof(fc.integer(range(schema, 20)), fc.integer(range(schema, 1_000_000)));
    case "number":
      return fc.double({ ...range(schema, 1000), noNaN: true });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return lists(schema, inner);
    case "object":
      return objects(schema, inner);
    case undefined:
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

/** The part of the document that a reference such as `#/components/schemas/Job` names. */
function resolveReference(document: unknown, reference: string): Schema {
  let at: unknown = document;
  for (const part of reference.replace(/^#\//, "").split("/"))
    at = (at as Record<string, unknown>)[part];
  return at as Schema;
}

/** Bounds of a number; where there are none, around zero. */
function range({ minimum, maximum, exclusiveMinimum }: Schema, width: number) {
  const low = minimum ?? (exclusiveMinimum === undefined ? -width : exclusiveMinimum + 1);
  const min = Math.max(low, -(2 ** 31));
  const max = Math.min(maximum ?? min + width, 2 ** 31, Math.max(min, 0) + width);
  return { min, max: Math.max(min, max) };
}

function texts(schema: Schema, name: string): fc.Arbitrary<unknown> {
  const { minLength = 0, maxLength = 60, pattern, format } = schema;
  if (format === "date-time")
    return fc
      .date({ min: new Date("2026-01-01"), max: new Date("2028-01-01"), noInvalidDate: true })
      .map((date) => date.toISOString());
  const size = { minLength, maxLength: Math.max(minLength, Math.min(maxLength, 60)) };
  const any = fc.oneof(
    fc.string({ ...size, unit: "grapheme-ascii" }),
    fc.string({ ...size, unit: "binary" }),
    fc
      .constantFrom("restore a backup", "notes", "# Title\n\nA paragraph.", "*.md", "2026-11-21")
      .filter((text) => text.length >= minLength && text.length <= maxLength),
  );
  const free = pattern === undefined ? any : fc.stringMatching(new RegExp(pattern));
  return fc.oneof(
    { weight: 6, arbitrary: knownValue([singular(name)], free) },
    { weight: 1, arbitrary: knownValue([anyId], free) },
    { weight: 3, arbitrary: free },
  );
}

type Inner = (part: Schema, name?: string) => fc.Arbitrary<unknown>;

function lists(
  { items, prefixItems, minItems = 0, maxItems }: Schema,
  inner: Inner,
): fc.Arbitrary<unknown> {
  if (prefixItems) return fc.tuple(...prefixItems.map((part) => inner(part)));
  const most = Math.min(maxItems ?? minItems + 3, minItems + 3);
  return fc.array(items ? inner(items) : fc.jsonValue({ maxDepth: 1 }), {
    minLength: minItems,
    maxLength: most,
  });
}

function objects(
  { properties = {}, required = [], additionalProperties }: Schema,
  inner: Inner,
): fc.Arbitrary<unknown> {
  const needed = Object.entries(properties).filter(([name]) => required.includes(name));
  const least = fc.record(
    Object.fromEntries(needed.map(([name, part]) => [name, inner(part, name)])),
  );
  const more = fc.record(
    Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, inner(part, name)])),
    { requiredKeys: Object.keys(properties).filter((name) => required.includes(name)) },
  );
  const known = fc.oneof(least, more);
  if (additionalProperties === false || additionalProperties === undefined) return known;
  const names = fc.oneof(
    fc.nat({ max: 1000 }).map((at) => `${dottedField}${at}`),
    fc.string({ minLength: 1, maxLength: 20 }),
  );
  const value =
    additionalProperties === true ? fc.jsonValue({ maxDepth: 1 }) : inner(additionalProperties);
  return fc
    .tuple(known, fc.dictionary(names, value, { maxKeys: 3 }))
    .map(([fields, more]) => ({ ...more, ...fields }));
}
