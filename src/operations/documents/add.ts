import { z } from "zod";
import { allowed, collectionField } from "../allowed-collection.ts";
import { defineOperation } from "../define-operation.ts";
import { documentFields, documentSchema, fileField } from "./document-schema.ts";

export const documentsAdd = defineOperation({
  name: "documents.add",
  summary:
    "Add a document, or replace the one with its key; the same content again changes nothing",
  input: z.strictObject({
    collection: collectionField,
    ...documentFields,
    file: fileField.optional().describe("The file, as multipart/form-data"),
  }),
  output: z.object({
    document: documentSchema,
    outcome: z.enum(["added", "replaced", "unchanged"]),
    chunks: z.int(),
  }),
  effect: "write",
  permission: { role: "api_user", grant: { on: "collections", right: "write" } },
  http: {
    method: "POST",
    path: "/collections/:collection/documents",
    body: "multipart",
    answer: "created",
  },
  cli: null,
  tools: [{ name: "ingest_document" }],
  run: async (call) => {
    const { collection: _named, ...document } = call.input;
    return call.app.search.addDocument(allowed(call).collection, document, call.signal);
  },
});
