import { z } from "zod";
import { allowed, collectionField } from "../allowed-collection.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, readPage } from "../list-page.ts";
import { documentSchema } from "./document-schema.ts";

export const documentsList = defineOperation({
  name: "documents.list",
  summary: "List the documents of a collection by key",
  input: z.strictObject({
    collection: collectionField,
    prefix: z.string().min(1).max(512).optional().describe("Only keys that begin with this"),
    ...pageInput,
  }),
  output: pageOutput(documentSchema),
  effect: "read",
  permission: { role: "read_only", grant: { on: "collections", right: "read" } },
  http: { method: "GET", path: "/collections/:collection/documents" },
  cli: { command: "docs" },
  tools: [{ name: "list_documents" }],
  run: async (call) => {
    const { collection } = allowed(call);
    const { prefix } = call.input;
    return readPage(
      "documents.list",
      call,
      ({ key }) => key,
      (after, limit) => call.app.search.documents.list(collection, { after, limit, prefix }),
    );
  },
});
