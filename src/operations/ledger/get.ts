import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { entryField, ledgerEntrySchema } from "./ledger-schema.ts";

export const ledgerGet = defineOperation({
  name: "ledger.get",
  summary: "Show one recorded error with its stack",
  input: z.strictObject({ entry: entryField }),
  output: ledgerEntrySchema,
  effect: "read",
  permission: { role: "developer" },
  http: { method: "GET", path: "/ledger/:entry" },
  cli: { command: "ledger show <entry>" },
  run: async ({ app, input }) => app.ledger.get(input.entry),
});
