import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { cleanedSchema } from "./storage-schema.ts";

export const storageUsage = defineOperation({
  name: "storage.usage",
  summary: "Measure how many bytes each kind of content takes, and what could be freed",
  input: z.strictObject({}),
  output: z.object({
    measuredAt: z.string(),
    disk: z.object({ freeBytes: z.int(), totalBytes: z.int() }),
    kinds: z.array(
      z.object({
        kind: z.string(),
        bytes: z.int().nullable(),
        files: z.int().nullable(),
        reason: z.string().nullable(),
      }),
    ),
    database: z.object({
      contents: z.array(z.object({ kind: z.string(), bytes: z.int() })).nullable(),
      reason: z.string().nullable(),
    }),
    trash: z.object({
      entries: z.int().nullable(),
      bytes: z.int().nullable(),
      sweptAt: z.string().nullable(),
      purgedSinceStart: z.int(),
    }),
    reclaimable: z.array(cleanedSchema),
  }),
  effect: "read",
  permission: { role: "admin" },
  http: { method: "GET", path: "/storage" },
  cli: { command: "storage" },
  run: async ({ app }) => app.overview.storage(),
});
