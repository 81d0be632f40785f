import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { secretField } from "../shapes.ts";
import { signedInSchema } from "./auth-schema.ts";

export const authRefresh = defineOperation({
  name: "auth.refresh",
  summary: "Exchange a refresh token for new tokens; each works once",
  input: z.strictObject({ refreshToken: secretField(200) }),
  output: signedInSchema,
  effect: "write",
  permission: "public",
  http: { method: "POST", path: "/auth/refresh" },
  cli: null,
  run: ({ app, input, target }) =>
    app.access.logins.refresh(input.refreshToken, (id) => target("user", id)),
});
