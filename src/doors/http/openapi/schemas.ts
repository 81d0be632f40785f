import { z } from "zod";
import { DefectError } from "#base/errors/index.ts";
import type { Operation } from "#operations/index.ts";

export type Schema = z.core.JSONSchema.JSONSchema;

const inputs = new WeakMap<Operation, Schema>();

/** The JSON Schema of an operation's input as callers send it. Made once per operation. */
export function inputSchema(operation: Operation): Schema {
  const known = inputs.get(operation);
  if (known) return known;
  const made = toSchema(operation.input, "input");
  inputs.set(operation, made);
  return made;
}

/** The JSON Schema of an operation's answer, or of each event's data where it streams. */
export function outputSchema(operation: Operation): Schema {
  return toSchema(operation.output, "output");
}

function toSchema(schema: z.ZodType, io: "input" | "output"): Schema {
  // What JSON cannot show (the bytes of an uploaded file) has no JSON Schema: it is described with the multipart body.
  return z.toJSONSchema(schema, { io, unrepresentable: "any" }) as Schema;
}

/** Whether callers may send the field `name`. */
export function hasField(operation: Operation, name: string): boolean {
  return Object.hasOwn(inputSchema(operation).properties ?? {}, name);
}

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

/** A schema whose objects have more properties. Unions are extended shape by shape, for each shape allows its own properties only. */
export function extendSchema(
  schema: Schema,
  properties: Record<string, Schema>,
  components: Components,
): Schema {
  const extend = (shape: unknown) => extendSchema(shape as Schema, properties, components);
  if (schema.anyOf) return { ...schema, anyOf: schema.anyOf.map(extend) };
  if (schema.oneOf) return { ...schema, oneOf: schema.oneOf.map(extend) };
  if (schema.$ref !== undefined) {
    const { $ref: reference, ...rest } = schema;
    const referred = components[reference.replace(componentReference(""), "")] as Schema;
    return { ...extend(referred), ...rest };
  }
  if (schema.type !== "object")
    throw new DefectError(`an answer that is no object: ${JSON.stringify(schema).slice(0, 200)}`);
  return { ...schema, properties: { ...schema.properties, ...properties } };
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
