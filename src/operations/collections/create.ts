import { z } from "zod";
import { AuthenticationRequiredError } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";
import { nameSchema } from "../shapes.ts";
import { collectionSchema } from "./collection-schema.ts";

export const collectionsCreate = defineOperation({
  name: "collections.create",
  summary: "Create a collection; you become its owner",
  input: z.strictObject({
    name: nameSchema.describe("Unique name"),
    kind: z.enum(["document"]).default("document").describe("What it holds"),
    space: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe("Embedding space; the default one without"),
    chunking: z
      .strictObject({
        maxTokens: z.int().min(16).max(512),
        overlapTokens: z.int().min(0).max(256),
      })
      .optional()
      .describe("Tokens of a chunk and of the overlap where a unit had to be cut"),
    description: z.string().max(2000).optional(),
  }),
  output: collectionSchema,
  effect: "write",
  permission: { role: "api_user" },
  http: { method: "POST", path: "/collections", answer: "created" },
  cli: { command: "collections create <name>" },
  run: async ({ app, input, principal }) => {
    if (!principal) throw new AuthenticationRequiredError("A collection needs an owner.");
    const { name, space, chunking, description } = input;
    return app.search.collections.create(principal, { name, space, chunking, description });
  },
});
