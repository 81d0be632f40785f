import { z } from "zod";
import { roles } from "#base/access/index.ts";
import { AuthenticationRequiredError } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";

export const authMe = defineOperation({
  name: "auth.me",
  summary: "Who you are, your role, and whose things you work on",
  input: z.strictObject({}),
  output: z.object({
    id: z.string(),
    name: z.string(),
    role: z.enum(roles),
    kind: z.enum(["local", "user", "key"]),
    owner: z.string(),
    limited: z.boolean(),
    collections: z.object({ read: z.int().nullable(), write: z.int().nullable() }),
  }),
  effect: "read",
  permission: { role: "read_only" },
  http: { method: "GET", path: "/auth/me" },
  cli: { command: "whoami" },
  run: async ({ principal, scope }) => {
    if (!principal) throw new AuthenticationRequiredError("Nobody is signed in.");
    const { id, name, role, kind, owner, limited } = principal;
    // Null: every collection that there is or will be.
    const count = (reach: typeof scope.read) => (reach === "all" ? null : reach.length);
    const collections = { read: count(scope.read), write: count(scope.write) };
    return { id, name, role, kind, owner, limited, collections };
  },
});
