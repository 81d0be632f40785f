import { z } from "zod";
import { defineOperation } from "../define-operation.ts";

export const systemInfo = defineOperation({
  name: "system.info",
  summary: "Show version, machine, data directory and runtimes",
  input: z.strictObject({}),
  output: z.object({
    version: z.string(),
    node: z.string(),
    dataDirectory: z.string(),
    startedAt: z.string(),
    environment: z.string(),
    runId: z.string(),
    runtimes: z.array(z.object({ name: z.string(), state: z.string() })),
    machine: z.object({
      platform: z.string(),
      arch: z.string(),
      cores: z.int(),
      memoryBytes: z.int(),
      accelerators: z.array(z.string()),
    }),
    defaultSpace: z.object({ id: z.string(), name: z.string() }).nullable(),
  }),
  effect: "read",
  permission: { role: "read_only" },
  http: { method: "GET", path: "/system" },
  cli: { command: "info" },
  run: async ({ app }) => app.overview.info(),
});
