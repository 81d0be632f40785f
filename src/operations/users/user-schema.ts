import { z } from "zod";
import { roles } from "#base/access/index.ts";

export const userSchema = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(roles),
  disabled: z.boolean(),
  /** Whether a password is set. */
  password: z.boolean(),
  createdAt: z.string(),
  updatedAt: z.string(),
  lastLoginAt: z.string().nullable(),
});

/** Lower case, so that no name is an id and two names never differ by case alone. */
export const userNameSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9_.@-]{0,63}$/,
    "1 to 64 of a–z, 0–9, _, ., @ and -, beginning with a letter or digit",
  )
  .refine((name) => name !== "local", "`local` is the owner of the data directory");

export const userField = z.string().min(1).max(100).describe("Id or name of the user");
