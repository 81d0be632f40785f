import { z } from "zod";
import { localPrincipal, roles } from "#base/access/index.ts";
import { defineOperation } from "../define-operation.ts";

export const signinCreate = defineOperation({
  name: "signin.create",
  summary: "Exchange a one-time link token for a session cookie",
  input: z.strictObject({ token: z.string().min(1).max(200) }),
  output: z.object({
    principal: z.object({ id: z.string(), name: z.string(), role: z.enum(roles) }),
    expiresAt: z.string(),
  }),
  effect: "write",
  permission: "public",
  http: { method: "POST", path: "/auth/signin" },
  cli: null,
  run: async ({ app, input, openSession, target }) => {
    target("user", localPrincipal.id);
    const { principal, secret, expiresAt } = await app.access.signIn.redeem(input.token);
    openSession(secret, expiresAt);
    const { id, name, role } = principal;
    return { principal: { id, name, role }, expiresAt: new Date(expiresAt).toISOString() };
  },
});
