import { z } from "zod";
import { AuthenticationRequiredError } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";

export const authLogout = defineOperation({
  name: "auth.logout",
  summary: "Sign out of this sign-in, or of all of them; API keys stay",
  input: z.strictObject({
    everywhere: z.boolean().default(false).describe("End every sign-in of yours"),
  }),
  output: z.object({ ended: z.int() }),
  effect: "write",
  permission: { role: "read_only" },
  http: { method: "POST", path: "/auth/logout" },
  cli: { command: "logout" },
  run: async ({ app, input, principal, target, endSession }) => {
    if (!principal) throw new AuthenticationRequiredError("Nobody is signed in.");
    target("user", principal.id);
    const ended = await app.access.signOut(principal, input.everywhere);
    endSession();
    return ended;
  },
});
