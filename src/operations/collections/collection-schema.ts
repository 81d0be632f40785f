import { z } from "zod";
import { countsSchema, spaceBriefSchema } from "../shapes.ts";

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
