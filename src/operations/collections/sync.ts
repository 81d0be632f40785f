import { z } from "zod";
import { allowed, collectionField } from "../allowed-collection.ts";
import { defineOperation } from "../define-operation.ts";
import { jobSchema } from "../shapes.ts";

const globs = z.array(z.string().min(1).max(500)).max(100);

export const collectionsSync = defineOperation({
  name: "collections.sync",
  summary: "Make a collection hold what a folder holds: adds, replaces and removes, as a job",
  input: z.strictObject({
    collection: collectionField,
    path: z.string().min(1).max(4096).describe("A folder on the server’s machine"),
    include: globs.optional().describe("Only files that match one of these globs"),
    exclude: globs.optional().describe("No files that match one of these globs"),
  }),
  output: z.object({ job: jobSchema }),
  effect: "write",
  permission: { role: "api_user", grant: { on: "collections", right: "write" } },
  http: { method: "POST", path: "/collections/:collection/sync", answer: "job" },
  cli: null,
  run: async (call) => {
    const { collection, principal } = allowed(call);
    const { path, include, exclude } = call.input;
    return {
      job: await call.app.search.startSync(collection, principal, { path, include, exclude }),
    };
  },
});
