import { z } from "zod";
import { roles } from "#base/access/index.ts";
import { AuthenticationRequiredError } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";
import { secretField } from "../shapes.ts";
import { userNameSchema, userSchema } from "./user-schema.ts";

export const usersCreate = defineOperation({
  name: "users.create",
  summary: "Create a user, who can sign in once there is a password",
  input: z.strictObject({
    name: userNameSchema.describe("The name to sign in with"),
    role: z.enum(roles).default("read_only").describe("At most your own"),
    password: secretField(1000).optional(),
  }),
  output: userSchema,
  effect: "write",
  permission: { role: "admin" },
  http: { method: "POST", path: "/users", answer: "created" },
  cli: { command: "users create <name>" },
  run: async ({ app, input, principal }) => {
    if (!principal) throw new AuthenticationRequiredError("A user is made by somebody.");
    return app.access.users.create(principal, input);
  },
});
