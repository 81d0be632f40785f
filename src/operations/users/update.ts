import { z } from "zod";
import { roles } from "#base/access/index.ts";
import { AuthenticationRequiredError } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";
import { secretField } from "../shapes.ts";
import { userField, userNameSchema, userSchema } from "./user-schema.ts";

export const usersUpdate = defineOperation({
  name: "users.update",
  summary: "Change a user's name, role or password, or disable them; everybody their own password",
  input: z.strictObject({
    user: userField,
    name: userNameSchema.optional().describe("A new name"),
    role: z.enum(roles).optional().describe("At most your own"),
    disabled: z.boolean().optional().describe("Whether signing in and keys are refused"),
    password: secretField(1000).optional().describe("A new password; it ends all sign-ins"),
    currentPassword: secretField(1000).optional().describe("Needed for your own password"),
  }),
  output: userSchema,
  effect: "write",
  permission: { role: "read_only", own: { all: "admin" } },
  http: { method: "PATCH", path: "/users/:user" },
  cli: { command: "users update <user>" },
  run: async ({ app, input, principal, target }) => {
    if (!principal) throw new AuthenticationRequiredError("A user is changed by somebody.");
    const { user, ...change } = input;
    return app.access.users.update(principal, user, change, (id) => target("user", id));
  },
});
