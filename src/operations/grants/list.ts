import { z } from "zod";
import { allowed, collectionField } from "../allowed-collection.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, readPage } from "../list-page.ts";
import { grantSchema } from "./grant-schema.ts";

export const grantsList = defineOperation({
  name: "grants.list",
  summary: "List who has which right on a collection",
  input: z.strictObject({ collection: collectionField, ...pageInput }),
  output: pageOutput(grantSchema),
  effect: "read",
  permission: { role: "read_only", grant: { on: "collections", right: "owner" } },
  http: { method: "GET", path: "/collections/:collection/grants" },
  cli: { command: "grants <collection>" },
  run: (call) =>
    readPage(
      "grants.list",
      call,
      ({ principal }) => principal.id,
      (after, limit) => call.app.access.grants.list(allowed(call).collection.id, { after, limit }),
    ),
});
