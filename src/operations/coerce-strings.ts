import type { z } from "zod";

type Schema = z.core.JSONSchema.JSONSchema;

/**
 * Fields that arrived as text (query string, path, command line, form) in the types that the input's JSON Schema names:
 * numbers, booleans and null by their JSON spelling, arrays from repeated values (a comma separates nothing), objects from JSON text.
 * What does not convert stays text, and unknown names stay as they are: the schema's own refusal then names them.
 */
export function coerceStrings(
  schema: Schema,
  fields: Readonly<Record<string, string | readonly string[]>>,
): Record<string, unknown> {
  const entries = Object.entries(fields).map(([name, value]): [string, unknown] => {
    const choices = alternatives(schema, propertyOf(schema, name));
    return [name, coerceField(schema, choices, value)];
  });
  return Object.fromEntries(entries);
}

function propertyOf(root: Schema, name: string): Schema | undefined {
  for (const choice of alternatives(root, root)) {
    const { properties } = choice;
    if (properties && Object.hasOwn(properties, name)) return asSchema(properties[name]);
  }
  return undefined;
}

/** The plain schemas of which a value may fit any: references followed, unions and intersections opened. */
function alternatives(root: Schema, schema: Schema | undefined, depth = 0): Schema[] {
  if (!schema || depth > 20) return [];
  const inner = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])];
  const referred = schema.$ref === undefined ? undefined : resolve(root, schema.$ref);
  return [
    schema,
    ...inner.flatMap((part) => alternatives(root, asSchema(part), depth + 1)),
    ...alternatives(root, referred, depth + 1),
  ];
}

function resolve(root: Schema, reference: string): Schema | undefined {
  if (reference === "#") return root;
  const name = /^#\/\$defs\/(.+)$/.exec(reference)?.[1];
  return name === undefined ? undefined : root.$defs?.[name];
}

function coerceField(
  root: Schema,
  choices: readonly Schema[],
  value: string | readonly string[],
): unknown {
  const list = choices.find((choice) => hasType(choice, "array"));
  if (!list) return typeof value === "string" ? coerceText(choices, value) : value;
  const items = Array.isArray(list.items) ? undefined : asSchema(list.items);
  const itemChoices = alternatives(root, items);
  const values = typeof value === "string" ? [value] : value;
  return values.map((text) => coerceText(itemChoices, text));
}

/** The first reading that some alternative allows; plain text wins over all others where it is allowed itself. */
function coerceText(choices: readonly Schema[], text: string): unknown {
  const literal = choices
    .flatMap((choice) => choice.enum ?? (choice.const === undefined ? [] : [choice.const]))
    .find((valid) => String(valid) === text);
  if (literal !== undefined) return literal;
  const allows = (type: SchemaType) => choices.some((choice) => hasType(choice, type));
  if (text === "null" && allows("null")) return null;
  if (allows("string")) return text;
  if ((allows("number") || allows("integer")) && isNumber(text)) return Number(text);
  if (allows("boolean") && (text === "true" || text === "false")) return text === "true";
  if (allows("object")) return readObject(text) ?? text;
  return text;
}

type SchemaType = Extract<NonNullable<Schema["type"]>, string>;

function hasType(schema: Schema, type: SchemaType): boolean {
  return Array.isArray(schema.type) ? schema.type.includes(type) : schema.type === type;
}

function isNumber(text: string): boolean {
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text);
}

/** The object that `text` spells in JSON, or undefined. */
function readObject(text: string): unknown {
  if (!text.startsWith("{")) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (thrown) {
    // Not JSON: it stays text, and the schema's refusal says what was expected.
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

function asSchema(part: unknown): Schema | undefined {
  return typeof part === "object" && part !== null ? (part as Schema) : undefined;
}
