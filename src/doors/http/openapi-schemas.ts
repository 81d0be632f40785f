import type { Schema } from "./schemas.ts";

export type Components = Record<string, unknown>;

/**
 * `schema` for the document: what it defines for itself moves into `components` (names that two operations define differently
 * get the prefix), and every reference follows.
 */
export function placeSchema(schema: Schema, prefix: string, components: Components): Schema {
  const { $schema: _dialect, $defs, ...rest } = schema;
  const names = new Map<string, string>();
  for (const [name, definition] of Object.entries($defs ?? {}))
    names.set(name, chooseName(name, definition, prefix, components));
  const rootName = `${prefix}.root`;
  const refer = (reference: string): string => {
    if (reference === "#") return componentReference(rootName);
    const name = names.get(reference.replace(/^#\/\$defs\//, ""));
    return name === undefined ? reference : componentReference(name);
  };
  for (const [name, definition] of Object.entries($defs ?? {}))
    components[names.get(name) ?? name] = rewrite(definition, refer);
  const placed = rewrite(rest, refer) as Schema;
  if (JSON.stringify(rest).includes('"$ref":"#"')) components[rootName] = placed;
  return placed;
}

/** An object schema with more properties; what is no plain object is combined with them. */
export function extendSchema(schema: Schema, properties: Record<string, Schema>): Schema {
  if (schema.type === "object" && schema.properties)
    return { ...schema, properties: { ...schema.properties, ...properties } };
  return { allOf: [schema, { type: "object", properties }] };
}

/** An object schema without some of its properties. */
export function withoutProperties(schema: Schema, names: ReadonlySet<string>): Schema {
  const kept = Object.entries(schema.properties ?? {}).filter(([name]) => !names.has(name));
  const required = (schema.required ?? []).filter((name) => !names.has(name));
  const { required: _before, ...rest } = schema;
  return {
    ...rest,
    properties: Object.fromEntries(kept),
    ...(required.length > 0 ? { required } : {}),
  };
}

export function componentReference(name: string): string {
  return `#/components/schemas/${name}`;
}

/** Names that zod made up are the operation's own; names we gave are shared while they mean the same. */
function chooseName(
  name: string,
  definition: Schema,
  prefix: string,
  components: Components,
): string {
  const plain = name.replaceAll(/[^A-Za-z0-9._-]/g, "_");
  const madeUp = plain.startsWith("__");
  const taken = components[plain];
  const same = taken !== undefined && JSON.stringify(taken) === JSON.stringify(definition);
  return madeUp || (taken !== undefined && !same) ? `${prefix}.${plain.replace(/^__/, "")}` : plain;
}

function rewrite(value: unknown, refer: (reference: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => rewrite(item, refer));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [
      name,
      name === "$ref" && typeof part === "string" ? refer(part) : rewrite(part, refer),
    ]),
  );
}
