import { z } from "zod";
import { cleanupKinds } from "#workbench/overview/index.ts";
import { defineOperation } from "../define-operation.ts";
import { cleanedSchema } from "./storage-schema.ts";

export const storageCleanup = defineOperation({
  name: "storage.cleanup",
  summary: "Remove what nothing needs any more; counts only, unless told otherwise",
  input: z.strictObject({
    kinds: z
      .array(z.enum(cleanupKinds))
      .min(1)
      .max(cleanupKinds.length)
      .optional()
      .describe("Only these; without, all but migrationBackups, which keeps the newest copy"),
    dryRun: z.boolean().default(true).describe("Only count what would go"),
  }),
  output: z.object({ cleaned: z.array(cleanedSchema), dryRun: z.boolean() }),
  effect: "destroy",
  permission: { role: "admin" },
  http: { method: "POST", path: "/storage/cleanup" },
  cli: { command: "storage cleanup" },
  run: async ({ app, input: { kinds, dryRun } }) => ({
    cleaned: await app.overview.cleanup(kinds, dryRun),
    dryRun,
  }),
});
