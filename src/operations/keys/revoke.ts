import { z } from "zod";
import { AuthenticationRequiredError } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";

export const keysRevoke = defineOperation({
  name: "keys.revoke",
  summary: "Revoke an API key; it stops working with the next request",
  input: z.strictObject({ key: z.string().min(1).max(100).describe("Id of the key") }),
  output: z.object({ id: z.string(), revokedAt: z.string() }),
  effect: "destroy",
  permission: { role: "api_user", own: { all: "admin" } },
  http: { method: "DELETE", path: "/keys/:key" },
  cli: { command: "keys revoke <key>" },
  run: async ({ app, input, principal }) => {
    if (!principal) throw new AuthenticationRequiredError("A key is revoked by somebody.");
    return app.access.keys.revoke(principal, input.key);
  },
});
