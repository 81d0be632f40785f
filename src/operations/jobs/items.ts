import { z } from "zod";
import { redactText } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, readPage } from "../list-page.ts";
import { namedSchema } from "../shapes.ts";

const outcomes = ["done", "failed", "skipped"] as const;

export const jobsItems = defineOperation({
  name: "jobs.items",
  summary: "List the items of a job with their outcome",
  input: z.strictObject({
    job: namedSchema.describe("Id of the job"),
    outcome: z.enum(outcomes).optional().describe("Only items with this outcome"),
    ...pageInput,
  }),
  output: pageOutput(
    z.object({
      item: z.string(),
      outcome: z.enum(outcomes),
      reason: z.string().nullable(),
      ledgerId: z.string().nullable(),
      attempt: z.int(),
    }),
  ),
  effect: "read",
  permission: { role: "api_user", own: { all: "developer" } },
  http: { method: "GET", path: "/jobs/:job/items" },
  cli: { command: "jobs items <job>" },
  run: async (call) => {
    const { job, outcome } = call.input;
    const page = await readPage(
      "jobs.items",
      call,
      ({ item }: { item: string }) => item,
      (after, limit) => call.app.jobs.items(job, { outcome, after, limit }, call.own),
    );
    // Files are named by whoever made them: a name may hold a secret.
    return { ...page, items: page.items.map((one) => ({ ...one, item: redactText(one.item) })) };
  },
});
