import { z } from "zod";
import { allowed, collectionField } from "../allowed-collection.ts";
import { defineOperation } from "../define-operation.ts";
import { jobSchema } from "../shapes.ts";
import { documentFields } from "./document-schema.ts";

/** Most documents of one batch. */
const mostDocuments = 1000;

export const documentsAddBatch = defineOperation({
  name: "documents.addBatch",
  summary: "Add many documents as a job; each succeeds or fails by itself",
  input: z.strictObject({
    collection: collectionField,
    documents: z.array(z.strictObject(documentFields)).min(1).max(mostDocuments),
    batchSize: z.int().min(1).max(100).default(10).describe("Documents in work at the same time"),
  }),
  output: z.looseObject({ job: jobSchema }),
  effect: "write",
  permission: { role: "api_user", grant: { on: "collections", right: "write" } },
  http: { method: "POST", path: "/collections/:collection/documents/batch", answer: "job" },
  cli: null,
  tools: [{ name: "batch_ingest" }],
  run: async (call) => {
    const { collection, principal } = allowed(call);
    const { documents, batchSize } = call.input;
    return {
      job: await call.app.search.startBatch(collection, principal, { documents, batchSize }),
    };
  },
});
