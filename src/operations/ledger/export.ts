import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { ledgerEntrySchema } from "./ledger-schema.ts";

const statisticsSchema = z.object({
  totalErrors: z.int(),
  bySeverity: z.record(z.string(), z.int()),
  byCategory: z.record(z.string(), z.int()),
  resolvedCount: z.int(),
});

export const ledgerExport = defineOperation({
  name: "ledger.export",
  summary: "Export the ledger of a run with its statistics, as JSON or as a text report",
  input: z.strictObject({
    run: z.string().min(1).max(100).optional().describe("Id of the run; the current one without"),
    format: z.enum(["json", "text"]).default("json"),
  }),
  output: z.union([
    z.object({
      metadata: z.object({
        runId: z.string(),
        startedAt: z.string(),
        endedAt: z.string().nullable(),
        platform: z.string(),
        runtime: z.string(),
        environment: z.string(),
      }),
      errors: z.array(ledgerEntrySchema),
      statistics: statisticsSchema,
    }),
    z.object({ run: z.string(), text: z.string() }),
  ]),
  effect: "read",
  permission: { role: "developer" },
  http: { method: "GET", path: "/ledger/export" },
  cli: { command: "ledger export" },
  run: async ({ app, input }) => {
    const run = input.run ?? app.ledger.runId;
    return input.format === "json"
      ? app.ledger.run(run)
      : { run, text: await app.ledger.report(run) };
  },
});
