import { z } from "zod";
import { AuthenticationRequiredError } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, readPage } from "../list-page.ts";
import { countsSchema } from "../shapes.ts";
import { trashKinds } from "./trash-schema.ts";

export const trashList = defineOperation({
  name: "trash.list",
  summary: "List what was deleted and you can still restore, newest first",
  input: z.strictObject(pageInput),
  output: pageOutput(
    z.object({
      id: z.string(),
      kind: z.enum(trashKinds),
      thing: z.string(),
      name: z.string(),
      collection: z.object({ id: z.string(), name: z.string(), inTrash: z.boolean() }),
      counts: countsSchema,
      deletedBy: z.string().nullable(),
      deletedAt: z.string(),
      until: z.string(),
    }),
  ),
  effect: "read",
  permission: { role: "api_user" },
  http: { method: "GET", path: "/trash" },
  cli: { command: "trash" },
  run: async (call) => {
    const { principal, app, scope } = call;
    if (!principal) throw new AuthenticationRequiredError("The trash is listed for somebody.");
    return readPage(
      "trash.list",
      call,
      ({ id }) => id,
      (before, limit) => app.search.trash.list(principal, scope, { before, limit }),
    );
  },
});
