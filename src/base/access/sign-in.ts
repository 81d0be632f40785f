import { randomBytes } from "node:crypto";
import type { Database } from "#base/database/index.ts";
import { protectSecret, SignInTokenInvalidError } from "#base/errors/index.ts";
import { hashSecret } from "./api-keys.ts";
import { localPrincipal, type Principal } from "./principal.ts";

export type SignIn = {
  /** A fresh one-time token for the printed address; it lives in this process only. */
  issueToken(): string;
  /** Spends a token: a session secret for the cookie. Raises SignInTokenInvalidError for unknown, spent and late ones. */
  redeem(token: string): Promise<{ principal: Principal; secret: string; expiresAt: number }>;
  /** The principal of a session cookie, or null. */
  authenticate(secret: string): Promise<Principal | null>;
};

/** Sign-in by link: tokens live `tokenMinutes`, sessions `sessionHours`. */
export function createSignIn(
  database: Database,
  limits: { tokenMinutes: number; sessionHours: number },
): SignIn {
  const tokens = new Map<string, number>();
  return {
    issueToken: () => {
      const token = randomBytes(32).toString("base64url");
      protectSecret(token);
      tokens.set(hashSecret(token), Date.now() + limits.tokenMinutes * 60_000);
      return token;
    },
    redeem: async (token) => {
      const hash = hashSecret(token);
      const until = tokens.get(hash);
      tokens.delete(hash);
      if (until === undefined || until <= Date.now())
        throw new SignInTokenInvalidError(
          "The sign-in link is unknown, already used, or older than its limit.",
        );
      const secret = randomBytes(32).toString("base64url");
      const expiresAt = Date.now() + limits.sessionHours * 3_600_000;
      await database.write(async ({ tables }) => {
        await tables.deleteFrom("sessions").where("expires_at", "<=", Date.now()).execute();
        await tables
          .insertInto("sessions")
          .values({
            hash: hashSecret(secret),
            principal_id: localPrincipal.id,
            created_at: Date.now(),
            expires_at: expiresAt,
          })
          .execute();
      });
      return { principal: localPrincipal, secret, expiresAt };
    },
    authenticate: async (secret) => {
      const row = await database.read
        .selectFrom("sessions")
        .select("expires_at")
        .where("hash", "=", hashSecret(secret))
        .executeTakeFirst();
      return row && row.expires_at > Date.now() ? localPrincipal : null;
    },
  };
}
