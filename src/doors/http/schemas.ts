import { z } from "zod";
import type { Operation } from "#operations/define-operation.ts";

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
