export { jobStates } from "./job.ts";
export type { Job, JobItem, JobState } from "./job.ts";
export { createJobs } from "./jobs.ts";
export type { Jobs, JobScope } from "./jobs.ts";
export { withRetry } from "./retry.ts";
export type { JobContext, JobKind } from "./run-job.ts";
