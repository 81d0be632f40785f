import { z } from "zod";
import { AuthenticationRequiredError } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";
import { countsSchema, keySchema, nameSchema } from "../shapes.ts";
import { trashField, trashKinds } from "./trash-schema.ts";

export const trashRestore = defineOperation({
  name: "trash.restore",
  summary: "Bring back what was deleted, with the same ids, chunks and vectors",
  input: z.strictObject({
    trash: trashField,
    name: nameSchema
      .optional()
      .describe("Another name for a collection whose own is taken meanwhile"),
    key: keySchema
      .optional()
      .describe(
        "Another key for a document whose own is taken meanwhile; a synced file becomes a document of its own by it",
      ),
  }),
  output: z.object({
    kind: z.enum(trashKinds),
    id: z.string(),
    name: z.string(),
    collection: z.object({ id: z.string(), name: z.string() }),
    counts: countsSchema,
  }),
  effect: "write",
  permission: { role: "api_user" },
  http: { method: "POST", path: "/trash/:trash/restore" },
  cli: { command: "trash restore <trash>" },
  run: async ({ app, principal, input: { trash, name, key } }) => {
    if (!principal) throw new AuthenticationRequiredError("Only somebody restores something.");
    return app.search.trash.restore(principal, trash, { name, key });
  },
});
