import { z } from "zod";
import { roles } from "#base/access/index.ts";

export const signedInSchema = z.object({
  principal: z.object({ id: z.string(), name: z.string(), role: z.enum(roles) }),
  /** Null where the sign-in is a cookie. */
  accessToken: z.string().nullable(),
  accessTokenExpiresAt: z.string().nullable(),
  refreshToken: z.string().nullable(),
  expiresAt: z.string(),
});
