import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, readPage } from "../list-page.ts";

const outcomes = ["done", "refused", "failed"] as const;

export const auditList = defineOperation({
  name: "audit.list",
  summary: "List who did what to which thing, newest first",
  input: z.strictObject({
    principal: z.string().max(100).optional().describe("Id of a user or key, or local"),
    operation: z.string().max(100).optional().describe("Name of an operation"),
    outcome: z.enum(outcomes).optional(),
    target: z
      .string()
      .max(1000)
      .optional()
      .describe("Id of the thing that was acted on, or of the collection it lies in"),
    ...pageInput,
  }),
  output: pageOutput(
    z.object({
      number: z.int(),
      id: z.string(),
      time: z.string(),
      principal: z.string().nullable(),
      role: z.string().nullable(),
      operation: z.string(),
      target: z.object({ type: z.string(), id: z.string() }).nullable(),
      outcome: z.enum(outcomes),
      code: z.string().nullable(),
      requestId: z.string(),
      address: z.string().nullable(),
      hash: z.string(),
    }),
  ),
  effect: "read",
  permission: { role: "admin" },
  http: { method: "GET", path: "/audit" },
  cli: { command: "audit" },
  run: (call) => {
    const { cursor: _cursor, ...filter } = call.input;
    return readPage(
      "audit.list",
      call,
      ({ number }) => String(number),
      (before, limit) =>
        call.app.audit.list({
          ...filter,
          limit,
          ...(before === undefined ? {} : { before: Number(before) }),
        }),
    );
  },
});
