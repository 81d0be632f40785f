import { z } from "zod";
import { DefectError } from "#base/errors/index.ts";
import type { Call } from "../define-operation.ts";
import { countsSchema, namedSchema, spaceBriefSchema } from "../shapes.ts";

export const collectionSchema = z.object({
  id: z.string(),
  name: z.string(),
  kind: z.enum(["document"]),
  space: spaceBriefSchema,
  chunking: z.object({ maxTokens: z.int(), overlapTokens: z.int() }),
  description: z.string().nullable(),
  counts: countsSchema,
  index: z.object({
    kind: z.enum(["exact"]),
    state: z.enum(["ready"]),
    generation: z.int(),
  }),
  right: z.enum(["read", "write", "owner"]),
  createdAt: z.string(),
  updatedAt: z.string(),
});

/** The input field that names a collection. */
export const collectionField = namedSchema.describe("Id or name of the collection");

/** The collection and the caller of an operation that demands a right on one. */
export function allowed<Input>({ collection, principal }: Call<Input>) {
  if (!collection || !principal)
    throw new DefectError("an operation on a collection ran without its grant being checked");
  return { collection, principal };
}
