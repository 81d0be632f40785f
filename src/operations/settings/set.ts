import { z } from "zod";
import { defineOperation } from "../define-operation.ts";

export const settingsSet = defineOperation({
  name: "settings.set",
  summary: "Change run-time settings; null takes a stored one back",
  input: z.strictObject({
    values: z.record(z.string().min(1).max(200), z.unknown()).describe("Value by key"),
  }),
  output: z.object({ changed: z.array(z.string()), generation: z.int() }),
  effect: "write",
  permission: { role: "admin" },
  http: { method: "PATCH", path: "/settings" },
  cli: null,
  tools: [{ name: "configure_system", rename: { values: "config" } }],
  run: async ({ app, input, target }) => {
    target("setting", Object.keys(input.values).join(" "));
    return app.configuration.set(input.values);
  },
});
