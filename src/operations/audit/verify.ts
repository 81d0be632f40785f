import { z } from "zod";
import { InputInvalidError } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";

export const auditVerify = defineOperation({
  name: "audit.verify",
  summary: "Follow the audit's hash chain: any edit or gap shows",
  input: z.strictObject({
    number: z.int().min(1).optional().describe("Number of a head that was noted earlier"),
    hash: z
      .string()
      .regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits")
      .optional()
      .describe("Hash of that head"),
  }),
  output: z.object({
    intact: z.boolean(),
    checked: z.int(),
    head: z.object({ number: z.int(), hash: z.string() }).nullable(),
    broken: z.object({ number: z.int(), reason: z.string() }).nullable(),
  }),
  effect: "read",
  permission: { role: "admin" },
  http: { method: "POST", path: "/audit/verify" },
  cli: { command: "audit verify" },
  run: ({ app, input: { number, hash } }) => {
    if ((number === undefined) !== (hash === undefined))
      throw new InputInvalidError("audit.verify: number and hash belong together.", {
        errors: [{ pointer: number === undefined ? "/number" : "/hash", message: "is missing" }],
      });
    return app.audit.verify(
      number === undefined || hash === undefined ? undefined : { number, hash },
    );
  },
});
