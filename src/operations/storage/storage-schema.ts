import { z } from "zod";
import { cleanupKinds } from "#workbench/overview/index.ts";

export const cleanedSchema = z.object({
  kind: z.enum(cleanupKinds),
  frees: z.enum(["disk", "database"]),
  count: z.int().nullable(),
  bytes: z.int().nullable(),
  failed: z.int(),
  reason: z.string().nullable(),
});
