import { z } from "zod";
import { defineOperation } from "../define-operation.ts";

const state = z.enum(["ok", "degraded", "failed"]);

export const systemHealth = defineOperation({
  name: "system.health",
  summary:
    "Say what works and what does not, measured now; to nobody in particular only whether it runs",
  input: z.strictObject({}),
  output: z.union([
    z.object({
      status: state,
      version: z.string(),
      checks: z.array(
        z.object({
          name: z.string(),
          state: z.enum(["ok", "degraded", "failed", "unknown"]),
          latencyMs: z.number().nullable(),
          checkedAt: z.string().nullable(),
          detail: z.string(),
          nextStep: z
            .object({
              text: z.string(),
              operation: z.string().optional(),
              input: z.unknown().optional(),
            })
            .optional(),
        }),
      ),
    }),
    z.object({ status: z.enum(["ok", "failed"]) }),
  ]),
  effect: "read",
  permission: "public",
  http: { method: "GET", path: "/health", root: true },
  cli: { command: "doctor" },
  tools: [{ name: "health_check" }],
  run: async ({ app, principal }) => {
    if (principal) return app.overview.health();
    return { status: await app.overview.alive() };
  },
});
