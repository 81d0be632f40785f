import { z } from "zod";
import { allowed, collectionField } from "../allowed-collection.ts";
import { defineOperation } from "../define-operation.ts";
import { deletedSchema } from "../shapes.ts";
import { documentField } from "./document-schema.ts";

export const documentsDelete = defineOperation({
  name: "documents.delete",
  summary: "Delete a document from every leg and count; the trash keeps it for a while",
  input: z.strictObject({
    collection: collectionField,
    document: documentField,
    dryRun: z.boolean().default(false).describe("Only count what would go"),
  }),
  output: deletedSchema,
  effect: "destroy",
  permission: { role: "api_user", grant: { on: "collections", right: "write" } },
  http: { method: "DELETE", path: "/collections/:collection/documents/:document" },
  cli: { command: "docs delete <document>" },
  tools: [{ name: "delete_document" }],
  run: async (call) => {
    const { collection, principal } = allowed(call);
    const { document, dryRun } = call.input;
    return call.app.search.documents.delete(collection, document, principal, dryRun);
  },
});
