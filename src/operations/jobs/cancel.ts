import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { jobSchema, namedSchema } from "../shapes.ts";

export const jobsCancel = defineOperation({
  name: "jobs.cancel",
  summary: "Cancel a job; what is finished stays",
  input: z.strictObject({ job: namedSchema.describe("Id of the job") }),
  output: z.object({ job: jobSchema }),
  effect: "write",
  permission: { role: "api_user", own: { all: "developer" } },
  http: { method: "POST", path: "/jobs/:job/cancel" },
  cli: { command: "jobs cancel <job>" },
  run: async ({ app, input, own }) => ({ job: await app.jobs.cancel(input.job, own) }),
});
