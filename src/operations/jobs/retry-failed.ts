import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { jobSchema, namedSchema } from "../shapes.ts";
import { demandOwnersRight } from "./demand-owners-right.ts";

export const jobsRetryFailed = defineOperation({
  name: "jobs.retryFailed",
  summary: "Run only the failed items of a job again",
  input: z.strictObject({ job: namedSchema.describe("Id of the job") }),
  output: z.object({ job: jobSchema }),
  effect: "write",
  permission: { role: "api_user", own: { all: "developer" } },
  http: { method: "POST", path: "/jobs/:job/retry-failed", answer: "job" },
  cli: { command: "jobs retry <job>" },
  run: async ({ app, input, own }) => {
    await demandOwnersRight(app, input.job, own);
    return { job: await app.jobs.resume(input.job, own, "failed") };
  },
});
