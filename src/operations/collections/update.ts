import { z } from "zod";
import { allowed, collectionField } from "../allowed-collection.ts";
import { defineOperation } from "../define-operation.ts";
import { nameSchema } from "../shapes.ts";
import { collectionSchema } from "./collection-schema.ts";

export const collectionsUpdate = defineOperation({
  name: "collections.update",
  summary: "Rename or describe a collection",
  input: z.strictObject({
    collection: collectionField,
    name: nameSchema.optional().describe("New name"),
    description: z
      .string()
      .max(2000)
      .nullable()
      .optional()
      .describe("New description; null for none"),
  }),
  output: collectionSchema,
  effect: "write",
  permission: { role: "api_user", grant: { on: "collections", right: "owner" } },
  http: { method: "PATCH", path: "/collections/:collection" },
  cli: { command: "collections update <collection>" },
  run: async (call) => {
    const { name, description } = call.input;
    const { collection } = allowed(call);
    return call.app.search.collections.update(collection, { name, description }, "owner");
  },
});
