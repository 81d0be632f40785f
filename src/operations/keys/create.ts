import { z } from "zod";
import { roles } from "#base/access/index.ts";
import { AuthenticationRequiredError } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";
import { keySchemaFields } from "./key-schema.ts";

export const keysCreate = defineOperation({
  name: "keys.create",
  summary: "Create an API key; it is shown once",
  input: z.strictObject({
    name: z.string().min(1).max(100).describe("What the key is for"),
    role: z.enum(roles).optional().describe("At most your own; api_user without"),
    expiresAt: z.iso.datetime({ offset: true }).optional().describe("ISO 8601; never without"),
  }),
  output: z.object({ ...keySchemaFields, key: z.string().nullable() }),
  effect: "write",
  permission: { role: "api_user", own: { all: "admin" } },
  http: { method: "POST", path: "/keys", answer: "created" },
  cli: { command: "keys create <name>" },
  run: async ({ app, input, principal }) => {
    if (!principal) throw new AuthenticationRequiredError("A key needs an owner.");
    return app.access.keys.create(principal, input);
  },
});
