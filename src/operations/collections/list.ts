import { z } from "zod";
import { AuthenticationRequiredError } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, readPage } from "../list-page.ts";
import { collectionSchema } from "./collection-schema.ts";

export const collectionsList = defineOperation({
  name: "collections.list",
  summary: "List the collections you may read",
  input: z.strictObject(pageInput),
  output: pageOutput(collectionSchema),
  effect: "read",
  permission: { role: "read_only" },
  http: { method: "GET", path: "/collections" },
  cli: { command: "collections" },
  run: async (call) => {
    const { principal, app, scope } = call;
    if (!principal) throw new AuthenticationRequiredError("Collections are listed for somebody.");
    return readPage(
      "collections.list",
      call,
      ({ id }) => id,
      (after, limit) => app.search.collections.list(principal, scope, { after, limit }),
    );
  },
});
