import { z } from "zod";
import { allowed, collectionField } from "../allowed-collection.ts";
import { defineOperation } from "../define-operation.ts";
import { deletedSchema } from "../shapes.ts";

export const collectionsDelete = defineOperation({
  name: "collections.delete",
  summary: "Delete a collection with all its documents; the trash keeps it for a while",
  input: z.strictObject({
    collection: collectionField,
    dryRun: z.boolean().default(false).describe("Only count what would go"),
  }),
  output: deletedSchema,
  effect: "destroy",
  permission: { role: "api_user", grant: { on: "collections", right: "owner" } },
  http: { method: "DELETE", path: "/collections/:collection" },
  cli: { command: "collections delete <collection>" },
  run: async (call) => {
    const { collection, principal } = allowed(call);
    return call.app.search.collections.delete(collection, principal, call.input.dryRun);
  },
});
