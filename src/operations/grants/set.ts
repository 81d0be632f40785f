import { z } from "zod";
import { allowed, collectionField } from "../allowed-collection.ts";
import { defineOperation } from "../define-operation.ts";
import { rightSchema } from "../shapes.ts";
import { granteeField, grantSchema } from "./grant-schema.ts";

export const grantsSet = defineOperation({
  name: "grants.set",
  summary: "Give a user or key a right on a collection: owner, write or read",
  input: z.strictObject({
    collection: collectionField,
    principal: granteeField,
    right: rightSchema.describe("owner includes write, write includes read"),
  }),
  output: grantSchema,
  effect: "write",
  permission: { role: "api_user", grant: { on: "collections", right: "owner" } },
  http: { method: "POST", path: "/collections/:collection/grants" },
  cli: { command: "grants set <collection> <principal> <right>" },
  run: (call) => {
    const { collection, principal: by } = allowed(call);
    const { principal, right } = call.input;
    return call.app.access.grants.set(by, {
      collection: collection.id,
      principal,
      right,
      onPrincipal: (id) => call.target("grant", `${collection.id}/${id}`),
    });
  },
});
