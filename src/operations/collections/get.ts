import { z } from "zod";
import { allowed, collectionField } from "../allowed-collection.ts";
import { defineOperation } from "../define-operation.ts";
import { collectionSchema } from "./collection-schema.ts";

export const collectionsGet = defineOperation({
  name: "collections.get",
  summary: "Show one collection with its counts",
  input: z.strictObject({ collection: collectionField }),
  output: collectionSchema,
  effect: "read",
  permission: { role: "read_only", grant: { on: "collections", right: "read" } },
  http: { method: "GET", path: "/collections/:collection" },
  cli: { command: "collections show <collection>" },
  run: async (call) => {
    const { collection, principal } = allowed(call);
    const right = (await call.app.access.rightOn(principal, collection.id)) ?? "read";
    return call.app.search.collections.view(collection, right);
  },
});
