import { z } from "zod";
import { allowed, collectionField } from "../allowed-collection.ts";
import { defineOperation } from "../define-operation.ts";
import { documentField, documentSchema } from "./document-schema.ts";

export const documentsGet = defineOperation({
  name: "documents.get",
  summary: "Show one document, with its chunks when asked",
  input: z.strictObject({
    collection: collectionField,
    document: documentField,
    includeChunks: z.boolean().default(false).describe("The chunks with their text and place"),
  }),
  output: documentSchema,
  effect: "read",
  permission: { role: "read_only", grant: { on: "collections", right: "read" } },
  http: { method: "GET", path: "/collections/:collection/documents/:document" },
  cli: { command: "docs show <document>" },
  tools: [{ name: "get_document" }],
  run: async (call) =>
    call.app.search.documents.get(
      allowed(call).collection,
      call.input.document,
      call.input.includeChunks,
    ),
});
