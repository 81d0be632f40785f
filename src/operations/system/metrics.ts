import { z } from "zod";
import { defineOperation } from "../define-operation.ts";

export const systemMetrics = defineOperation({
  name: "system.metrics",
  summary: "Show counters since the start, memory, event-loop delay and the job queue",
  input: z.strictObject({}),
  output: z.object({
    since: z.string(),
    windowSeconds: z.number(),
    counters: z.array(
      z.object({ name: z.string(), labels: z.record(z.string(), z.string()), value: z.number() }),
    ),
    memory: z.object({ rssBytes: z.int(), heapBytes: z.int() }),
    eventLoopDelayMs: z.object({
      p50: z.number().nullable(),
      p99: z.number().nullable(),
      max: z.number().nullable(),
    }),
    jobs: z.object({ queued: z.int(), running: z.int() }),
  }),
  effect: "read",
  permission: { role: "read_only" },
  http: { method: "GET", path: "/system/metrics" },
  cli: { command: "metrics" },
  tools: [{ name: "get_system_metrics" }],
  run: async ({ app }) => app.overview.metrics(),
});
