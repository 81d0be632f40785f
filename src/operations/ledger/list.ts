import { z } from "zod";
import { categories, severities } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, readPage } from "../list-page.ts";
import { ledgerEntrySchema } from "./ledger-schema.ts";

export const ledgerList = defineOperation({
  name: "ledger.list",
  summary: "List recorded errors, newest last",
  input: z.strictObject({
    run: z.string().min(1).max(100).optional().describe("Only this run"),
    severity: z.enum(severities).optional(),
    category: z.enum(categories).optional(),
    code: z.string().min(1).max(100).optional(),
    fingerprint: z.string().min(1).max(100).optional(),
    job: z.string().min(1).max(100).optional().describe("Only this job"),
    resolved: z.boolean().optional(),
    ...pageInput,
  }),
  output: pageOutput(ledgerEntrySchema),
  effect: "read",
  permission: { role: "developer" },
  http: { method: "GET", path: "/ledger" },
  cli: { command: "ledger" },
  run: async (call) => {
    const { cursor: _cursor, limit: _limit, ...filter } = call.input;
    return readPage(
      "ledger.list",
      call,
      ({ id }) => id,
      (after, limit) => call.app.ledger.list({ ...filter, after, limit }),
    );
  },
});
