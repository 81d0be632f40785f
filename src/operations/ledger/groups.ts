import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, readPage } from "../list-page.ts";

export const ledgerGroups = defineOperation({
  name: "ledger.groups",
  summary: "Group recorded errors by what and where they are, latest first",
  input: z.strictObject({
    resolved: z.boolean().optional(),
    ...pageInput,
  }),
  output: pageOutput(
    z.object({
      fingerprint: z.string(),
      code: z.string(),
      message: z.string(),
      severity: z.string(),
      count: z.int(),
      firstSeen: z.string(),
      lastSeen: z.string(),
      resolved: z.boolean(),
      regressed: z.boolean(),
      latest: z.string(),
    }),
  ),
  effect: "read",
  permission: { role: "developer" },
  http: { method: "GET", path: "/ledger/groups" },
  cli: { command: "ledger groups" },
  run: async (call) => {
    const { resolved } = call.input;
    return readPage(
      "ledger.groups",
      call,
      ({ latest }) => latest,
      (before, limit) => call.app.ledger.groups({ resolved, before, limit }),
    );
  },
});
