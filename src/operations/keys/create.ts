import { z } from "zod";
import { roles } from "#base/access/index.ts";
import { AuthenticationRequiredError, InputInvalidError } from "#base/errors/index.ts";
import { collectionField, demandCollection } from "../allowed-collection.ts";
import { defineOperation } from "../define-operation.ts";
import { rightSchema } from "../shapes.ts";
import { keySchemaFields } from "./key-schema.ts";

export const keysCreate = defineOperation({
  name: "keys.create",
  summary: "Create an API key; it is shown once",
  input: z.strictObject({
    name: z.string().min(1).max(100).describe("What the key is for"),
    role: z.enum(roles).optional().describe("At most your own; api_user without"),
    expiresAt: z.iso.datetime({ offset: true }).optional().describe("ISO 8601; never without"),
    grants: z
      .array(z.strictObject({ collection: collectionField, right: rightSchema }))
      .min(1)
      .max(1000)
      .optional()
      .describe("The only collections it reaches; without, all that you were given"),
  }),
  output: z.object({ ...keySchemaFields, key: z.string().nullable() }),
  effect: "write",
  permission: { role: "api_user", own: { all: "admin" } },
  http: { method: "POST", path: "/keys", answer: "created" },
  cli: { command: "keys create <name>" },
  run: async ({ app, input, principal }) => {
    if (!principal) throw new AuthenticationRequiredError("A key needs an owner.");
    const { grants, ...wanted } = input;
    if (!grants) return app.access.keys.create(principal, wanted);
    const given = new Map<string, (typeof grants)[number]["right"]>();
    for (const [place, { collection: called, right }] of grants.entries()) {
      const { id } = await demandCollection(app, principal, called, right);
      if (given.has(id))
        throw new InputInvalidError(`The collection "${called}" is named twice.`, {
          errors: [{ pointer: `/grants/${place}/collection`, message: "is named before" }],
        });
      given.set(id, right);
    }
    const limits = Array.from(given, ([collection, right]) => ({ collection, right }));
    return app.access.keys.create(principal, { ...wanted, grants: limits });
  },
});
