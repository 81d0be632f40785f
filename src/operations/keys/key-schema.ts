import { z } from "zod";
import { roles } from "#base/access/index.ts";

export const keySchemaFields = {
  id: z.string(),
  name: z.string(),
  role: z.enum(roles),
  owner: z.string(),
  limited: z.boolean(),
  prefix: z.string(),
  createdAt: z.string(),
  expiresAt: z.string().nullable(),
  lastUsedAt: z.string().nullable(),
  revokedAt: z.string().nullable(),
};
