import type { Schema } from "../src/doors/http/openapi/schemas.ts";

/** A shape that has a section of its own; its JSON text recognises it inside other schemas. */
export type Shape = { readonly name: string; readonly schema: Schema; readonly text: string };

/** One field of an answer, flattened: `items[].location.lines.from`. */
export type FieldRow = { readonly path: string; readonly type: string; readonly always: boolean };

const largestSafe = Number.MAX_SAFE_INTEGER;

export function toShape(name: string, schema: Schema): Shape {
  return { name, schema, text: textOf(schema) };
}

/** The schema as text without what differs by place: its own description and the draft it names. */
function textOf({ $schema: _draft, description: _about, ...schema }: Schema): string {
  return JSON.stringify(schema);
}

export function shapeOf(schema: Schema, shapes: readonly Shape[]): Shape | undefined {
  const text = textOf(schema);
  return shapes.find((shape) => shape.text === text);
}

/** A type as people read it: `text, 1 to 200 characters`, `list of [Document](#document)`. */
export function typeText(schema: Schema, shapes: readonly Shape[]): string {
  const shape = shapeOf(schema, shapes);
  if (shape) return link(shape.name);
  if (schema.$ref !== undefined) return link("Filter");
  const choices = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  if (choices) return choices.map((choice) => `\`${String(choice)}\``).join(", ");
  const parts = partsOf(schema);
  if (parts.length > 0)
    return [...new Set(parts.map((part) => typeText(part, shapes)))].join(" or ");
  if (Array.isArray(schema.type))
    return schema.type.map((type) => typeText({ ...schema, type }, shapes)).join(" or ");
  switch (schema.type) {
    case "string":
      return stringText(schema);
    case "integer":
    case "number":
      return numberText(schema);
    case "boolean":
      return "true or false";
    case "null":
      return "null";
    case "array":
      return listText(schema, shapes);
    case "object":
      return objectText(schema, shapes);
    case undefined:
    default:
      return "any value";
  }
}

function link(name: string): string {
  return `[${name}](#${name.toLowerCase().replaceAll(" ", "-")})`;
}

function partsOf(schema: Schema): Schema[] {
  return [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap(asSchema);
}

function asSchema(part: unknown): Schema[] {
  return typeof part === "object" && part !== null && !Array.isArray(part) ? [part as Schema] : [];
}

function stringText({ minLength, maxLength, format, pattern }: Schema): string {
  if (format === "date-time") return "time, ISO 8601 with zone";
  if (pattern !== undefined) return `text matching \`${pattern}\``;
  const range = rangeText(minLength, maxLength);
  return range === "" ? "text" : `text, ${range} characters`;
}

function numberText({ type, minimum, maximum }: Schema): string {
  const name = type === "integer" ? "integer" : "number";
  const range = rangeText(
    minimum === -largestSafe ? undefined : minimum,
    maximum === largestSafe ? undefined : maximum,
  );
  return range === "" ? name : `${name}, ${range}`;
}

function rangeText(least: number | undefined, most: number | undefined): string {
  if (least !== undefined && most !== undefined) return `${least} to ${most}`;
  if (least !== undefined) return `at least ${least}`;
  return most === undefined ? "" : `at most ${most}`;
}

function listText(schema: Schema, shapes: readonly Shape[]): string {
  const { minItems, maxItems, prefixItems, items } = schema;
  if (prefixItems)
    return `[${prefixItems
      .flatMap(asSchema)
      .map((part) => typeText(part, shapes))
      .join(", ")}]`;
  const [inner] = asSchema(items);
  const range = rangeText(minItems, maxItems);
  return `list${range === "" ? "" : ` (${range})`} of ${inner ? typeText(inner, shapes) : "any values"}`;
}

function objectText(schema: Schema, shapes: readonly Shape[]): string {
  const { properties, additionalProperties, required = [] } = schema;
  const [values] = asSchema(additionalProperties);
  if (properties && Object.keys(properties).length > 0)
    return `object { ${Object.keys(properties)
      .map((name) => (required.includes(name) ? name : `${name}?`))
      .join(", ")} }`;
  return values && Object.keys(values).length > 0
    ? `object with values of ${typeText(values, shapes)}`
    : "object";
}

/** The fields of an answer; alternatives are put together, a field that not all of them have is not always there. */
export function fieldRows(schema: Schema, shapes: readonly Shape[], prefix = ""): FieldRow[] {
  const parts = partsOf(schema).filter(({ type }) => type !== "null");
  if (parts.length > 0) return mergeRows(parts.map((part) => fieldRows(part, shapes, prefix)));
  const required = schema.required ?? [];
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const [inner = {}] = asSchema(property);
    const path = `${prefix}${name}`;
    const always = required.includes(name);
    const below = innerRows(inner, shapes, path);
    if (below.length === 0) return [{ path, type: typeText(inner, shapes), always }];
    return [{ path, type: outerText(inner), always }, ...below];
  });
}

/** What an object or list with fields of its own is called in the row above them. */
function outerText(schema: Schema): string {
  const isNullable = partsOf(schema).some(({ type }) => type === "null");
  const isList = [schema, ...partsOf(schema)].some(({ type }) => type === "array");
  return `${isList ? "list of objects" : "object"}${isNullable ? " or null" : ""}`;
}

function innerRows(schema: Schema, shapes: readonly Shape[], path: string): FieldRow[] {
  const readings = [schema, ...partsOf(schema)].filter((part) => !shapeOf(part, shapes));
  return readings.flatMap((reading) => {
    const [items] = asSchema(reading.items);
    if (reading.type === "array" && items && !shapeOf(items, shapes))
      return fieldRows(items, shapes, `${path}[].`);
    return reading.type === "object" ? fieldRows(reading, shapes, `${path}.`) : [];
  });
}

function mergeRows(variants: readonly FieldRow[][]): FieldRow[] {
  const merged = new Map<string, FieldRow>();
  for (const { path, type, always } of variants.flat()) {
    const known = merged.get(path);
    const inAll = variants.every((rows) => rows.some((row) => row.path === path));
    const types = known ? joinTypes(known.type, type) : type;
    merged.set(path, { path, type: types, always: always && inAll && (known?.always ?? true) });
  }
  return [...merged.values()];
}

/** Two types of one field; choices that both name are named once. */
function joinTypes(one: string, other: string): string {
  if (one === other) return one;
  const isChoice = (type: string) => type.startsWith("`");
  if (!isChoice(one) || !isChoice(other)) return `${one} or ${other}`;
  return [...new Set([...one.split(", "), ...other.split(", ")])].join(", ");
}
