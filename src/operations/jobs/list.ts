import { z } from "zod";
import { jobStates } from "#base/jobs/index.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, readPage } from "../list-page.ts";
import { jobSchema } from "../shapes.ts";

export const jobsList = defineOperation({
  name: "jobs.list",
  summary: "List jobs, newest first",
  input: z.strictObject({
    state: z.enum(jobStates).optional().describe("Only jobs in this state"),
    kind: z.string().min(1).max(100).optional().describe("Only jobs of this kind"),
    target: z.string().min(1).max(100).optional().describe("Only jobs on the thing with this id"),
    ...pageInput,
  }),
  output: pageOutput(jobSchema),
  effect: "read",
  permission: { role: "api_user", own: { all: "developer" } },
  http: { method: "GET", path: "/jobs" },
  cli: { command: "jobs" },
  run: async (call) => {
    const { state, kind, target } = call.input;
    return readPage(
      "jobs.list",
      call,
      ({ id }) => id,
      (before, limit) => call.app.jobs.list({ state, kind, target, before, limit }, call.own),
    );
  },
});
