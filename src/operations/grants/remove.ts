import { z } from "zod";
import { allowed, collectionField } from "../allowed-collection.ts";
import { defineOperation } from "../define-operation.ts";
import { granteeField } from "./grant-schema.ts";

export const grantsRemove = defineOperation({
  name: "grants.remove",
  summary: "Take a user's or key's right on a collection away, from the next request on",
  input: z.strictObject({ collection: collectionField, principal: granteeField }),
  output: z.object({ principal: z.string(), removed: z.literal(true) }),
  effect: "destroy",
  permission: { role: "api_user", grant: { on: "collections", right: "owner" } },
  http: { method: "DELETE", path: "/collections/:collection/grants/:principal" },
  cli: { command: "grants remove <collection> <principal>" },
  run: (call) => {
    const { collection, principal: by } = allowed(call);
    return call.app.access.grants.remove(by, {
      collection: collection.id,
      principal: call.input.principal,
      onPrincipal: (id) => call.target("grant", `${collection.id}/${id}`),
    });
  },
});
