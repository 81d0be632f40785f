import { z } from "zod";
import { allowed, collectionField } from "../allowed-collection.ts";
import { defineOperation } from "../define-operation.ts";
import { documentField } from "./document-schema.ts";

export const documentsRead = defineOperation({
  name: "documents.read",
  summary: "Read a document's text, whole or a range of UTF-16 characters",
  input: z.strictObject({
    collection: collectionField,
    document: documentField,
    from: z.int().min(0).optional().describe("First character, from 0"),
    to: z.int().min(0).optional().describe("Character after the last"),
  }),
  output: z.object({ text: z.string(), from: z.int(), to: z.int(), characters: z.int() }),
  effect: "read",
  permission: { role: "read_only", grant: { on: "collections", right: "read" } },
  http: { method: "GET", path: "/collections/:collection/documents/:document/text" },
  cli: { command: "docs read <document>" },
  run: async (call) => {
    const { document, from, to } = call.input;
    return call.app.search.documents.read(allowed(call).collection, document, { from, to });
  },
});
