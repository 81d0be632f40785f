import { z } from "zod";
import { defineOperation } from "../define-operation.ts";

const origins = ["flag", "environment", "secrets file", ".env", "stored", "default"] as const;

export const settingsList = defineOperation({
  name: "settings.list",
  summary: "Show every setting, its value, and where it came from",
  input: z.strictObject({}),
  output: z.object({
    items: z.array(
      z.object({
        key: z.string(),
        value: z.unknown(),
        origin: z.enum(origins),
        variable: z.string(),
        shadowed: z.array(z.object({ origin: z.enum(origins), value: z.unknown() })),
        runtime: z.boolean(),
        secret: z.boolean(),
        range: z.unknown(),
        description: z.string(),
      }),
    ),
    generation: z.int(),
    faults: z.array(
      z.object({
        key: z.string(),
        code: z.string(),
        message: z.string(),
        severity: z.enum(["fault", "warning"]),
      }),
    ),
  }),
  effect: "read",
  permission: { role: "developer" },
  http: { method: "GET", path: "/settings" },
  cli: { command: "config" },
  run: async ({ app }) => app.configuration.list(),
});
