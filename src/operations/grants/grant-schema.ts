import { z } from "zod";
import { rightSchema } from "../shapes.ts";

export const grantSchema = z.object({
  principal: z.object({
    id: z.string(),
    name: z.string(),
    kind: z.enum(["local", "user", "key"]),
  }),
  right: rightSchema,
  /** Given to a limited key at its making: worth at most what its owner has. */
  delegated: z.boolean(),
  createdAt: z.string(),
});

export const granteeField = z
  .string()
  .min(1)
  .max(100)
  .describe("Name or id of a user, or id of a key");
