import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { jobSchema, namedSchema } from "../shapes.ts";

export const jobsGet = defineOperation({
  name: "jobs.get",
  summary: "Show one job with its counts",
  input: z.strictObject({ job: namedSchema.describe("Id of the job") }),
  output: jobSchema,
  effect: "read",
  permission: { role: "api_user", own: { all: "developer" } },
  http: { method: "GET", path: "/jobs/:job" },
  cli: { command: "jobs show <job>" },
  run: async ({ app, input, own }) => app.jobs.get(input.job, own),
});
