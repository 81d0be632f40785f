import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { jobSchema, namedSchema } from "../shapes.ts";

const eventSchema = z.union([
  z.object({ job: jobSchema }),
  z.object({
    item: z.string(),
    outcome: z.enum(["done", "failed", "skipped"]),
    ledgerId: z.string().optional(),
  }),
]);

export const jobsEvents = defineOperation({
  name: "jobs.events",
  summary: "Follow a job: its state now, then every event until it ends",
  input: z.strictObject({
    job: namedSchema.describe("Id of the job"),
    since: z.int().min(0).optional().describe("Sequence of the last event seen"),
  }),
  output: eventSchema,
  effect: "read",
  permission: { role: "api_user", own: { all: "developer" } },
  http: { method: "GET", path: "/jobs/:job/events", answer: "stream" },
  cli: null,
  run: ({ app, input, own, signal }) => app.jobs.follow(input.job, own, signal, input.since),
});
