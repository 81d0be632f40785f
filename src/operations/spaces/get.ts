import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { namedSchema } from "../shapes.ts";
import { spaceSchema, withCounts } from "./space-schema.ts";

export const spacesGet = defineOperation({
  name: "spaces.get",
  summary: "Show one embedding space",
  input: z.strictObject({ space: namedSchema.describe("Id or name") }),
  output: spaceSchema,
  effect: "read",
  permission: { role: "read_only" },
  http: { method: "GET", path: "/spaces/:space" },
  cli: { command: "spaces show <space>" },
  run: async ({ app, input, scope }) => {
    // Opens every model: only then is it known which space is the default one.
    await app.embeddings.list();
    return withCounts(app, scope, await app.embeddings.space(input.space));
  },
});
