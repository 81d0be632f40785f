import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { entryField, ledgerEntrySchema } from "./ledger-schema.ts";

export const ledgerResolve = defineOperation({
  name: "ledger.resolve",
  summary: "Mark a recorded error, or its whole group, as resolved",
  input: z.strictObject({
    entry: entryField,
    notes: z.string().min(1).max(2000).describe("What was done about it"),
    scope: z.enum(["entry", "group"]).default("entry"),
  }),
  output: ledgerEntrySchema,
  effect: "write",
  permission: { role: "developer" },
  http: { method: "POST", path: "/ledger/:entry/resolve" },
  cli: { command: "ledger resolve <entry>" },
  run: async ({ app, input, principal }) =>
    app.ledger.resolve(input.entry, principal?.name ?? "", input.notes, input.scope),
});
