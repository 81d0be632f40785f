import { z } from "zod";
import { roles } from "#base/access/index.ts";

/** A password or token in an input: the command line asks for it instead of taking it as an argument. */
export const secretField = (longest: number) =>
  z.string().min(1).max(longest).meta({ writeOnly: true });

export const signedInSchema = z.object({
  principal: z.object({ id: z.string(), name: z.string(), role: z.enum(roles) }),
  /** Null where the sign-in is a cookie. */
  accessToken: z.string().nullable(),
  accessTokenExpiresAt: z.string().nullable(),
  refreshToken: z.string().nullable(),
  expiresAt: z.string(),
});
