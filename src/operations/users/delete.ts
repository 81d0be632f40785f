import { z } from "zod";
import { AuthenticationRequiredError } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";
import { userField } from "./user-schema.ts";

export const usersDelete = defineOperation({
  name: "users.delete",
  summary: "Delete a user for good, with their grants, sign-ins and keys; their collections stay",
  input: z.strictObject({
    user: userField,
    dryRun: z.boolean().default(false).describe("Only count what would go"),
  }),
  output: z.object({
    deleted: z.object({ users: z.int(), grants: z.int(), keys: z.int() }),
    dependents: z.array(z.object({ type: z.string(), count: z.int() })),
    dryRun: z.boolean(),
    undo: z.null(),
  }),
  effect: "destroy",
  permission: { role: "admin" },
  http: { method: "DELETE", path: "/users/:user" },
  cli: { command: "users delete <user>" },
  run: async ({ app, input: { user, dryRun }, principal, target }) => {
    if (!principal) throw new AuthenticationRequiredError("A user is deleted by somebody.");
    return app.access.users.delete(principal, user, dryRun, (id) => target("user", id));
  },
});
