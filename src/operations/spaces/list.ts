import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { pageOutput } from "../list-page.ts";
import { spaceSchema, withCounts } from "./space-schema.ts";

export const spacesList = defineOperation({
  name: "spaces.list",
  summary: "List the embedding spaces",
  input: z.strictObject({}),
  output: pageOutput(spaceSchema),
  effect: "read",
  permission: { role: "read_only" },
  http: { method: "GET", path: "/spaces" },
  cli: { command: "spaces" },
  run: async ({ app, scope }) => {
    const spaces = await app.embeddings.list();
    const items = await Promise.all(spaces.map((space) => withCounts(app, scope, space)));
    return { items, nextCursor: null, total: items.length };
  },
});
