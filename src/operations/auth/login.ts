import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { secretField } from "../shapes.ts";
import { signedInSchema } from "./auth-schema.ts";

export const authLogin = defineOperation({
  name: "auth.login",
  summary: "Sign in with name and password, for tokens or for a browser's cookie",
  input: z.strictObject({
    name: z.string().min(1).max(100).describe("Name of the user"),
    password: secretField(1000),
    as: z
      .enum(["tokens", "cookie"])
      .default("tokens")
      .describe("Tokens for programs; a cookie for pages, which then see no secret"),
  }),
  output: signedInSchema,
  effect: "write",
  permission: "public",
  http: { method: "POST", path: "/auth/login" },
  cli: { command: "login <name>" },
  run: async ({ app, input, openSession, target }) => {
    const signedIn = await app.access.logins.withPassword(input, (id) => target("user", id));
    const { cookie, ...answer } = signedIn;
    if (cookie) openSession(cookie.secret, cookie.expiresAt);
    return answer;
  },
});
