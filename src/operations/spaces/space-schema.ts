import { z } from "zod";
import type { App, Call } from "../define-operation.ts";

export const spaceSchema = z.object({
  id: z.string(),
  name: z.string(),
  model: z.object({ id: z.string().nullable(), name: z.string(), revision: z.string() }),
  runtime: z.string(),
  pooling: z.string(),
  normalized: z.boolean(),
  dims: z.int(),
  maxTokens: z.int().nullable(),
  prefixes: z.object({ query: z.string(), passage: z.string() }),
  fusionWeight: z.number().nullable(),
  fusionWeightMeasured: z.object({ at: z.string(), dataHash: z.string() }).nullable(),
  vectors: z.int(),
  collections: z.int(),
  default: z.boolean(),
});

type Space = Awaited<ReturnType<App["embeddings"]["space"]>>;

/** A space with what is stored in it, counted now. */
export async function withCounts(
  app: App,
  scope: Call<unknown>["scope"],
  space: Space,
): Promise<z.input<typeof spaceSchema>> {
  return { ...space, ...(await app.embeddings.counts(space, scope)) };
}
