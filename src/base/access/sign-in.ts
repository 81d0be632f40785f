import { randomBytes } from "node:crypto";
import type { Database, WriteHandle } from "#base/database/index.ts";
import { protectSecret, SignInTokenInvalidError } from "#base/errors/index.ts";
import { hashSecret } from "./api-keys.ts";
import { localPrincipal, type Principal } from "./principal.ts";
import { findUser, toPrincipal } from "./user.ts";

/** A session of a browser: the secret goes into the cookie, its hash is kept. */
export type CookieSession = { readonly secret: string; readonly expiresAt: number };

export type SignIn = {
  /** A fresh one-time token for the printed address; it lives in this process only. */
  issueToken(): string;
  /** Spends a token: a session secret for the cookie. Raises SignInTokenInvalidError for unknown, spent and late ones. */
  redeem(token: string): Promise<{ principal: Principal } & CookieSession>;
  /** A session that begins once it is kept. */
  prepare(): CookieSession;
  /** Begins a session for a principal, inside a transaction. */
  keep(handle: WriteHandle, session: CookieSession, principal: string): Promise<void>;
  /** The principal of a session cookie, or null. */
  authenticate(secret: string): Promise<Principal | null>;
  /** Ends one session, named by its hash, inside a transaction. */
  end(handle: WriteHandle, session: string): Promise<void>;
  /** Ends every session of a principal inside a transaction; returns their hashes. */
  endAll(handle: WriteHandle, principal: string): Promise<string[]>;
};

/** Sign-in by link and by cookie: tokens live `tokenMinutes`, sessions `sessionHours`. */
export function createSignIn(
  database: Database,
  limits: { readonly tokenMinutes: number; readonly sessionHours: number },
): SignIn {
  // Until when, by the clock of this process: a wall clock that goes back must not make a link live longer.
  const tokens = new Map<string, number>();
  const prepare = () => ({
    secret: randomBytes(32).toString("base64url"),
    expiresAt: Date.now() + limits.sessionHours * 3_600_000,
  });
  return {
    issueToken: () => {
      const token = randomBytes(32).toString("base64url");
      protectSecret(token);
      tokens.set(hashSecret(token), performance.now() + limits.tokenMinutes * 60_000);
      return token;
    },
    redeem: async (token) => {
      const hash = hashSecret(token);
      const until = tokens.get(hash);
      tokens.delete(hash);
      if (until === undefined || until <= performance.now())
        throw new SignInTokenInvalidError(
          "The sign-in link is unknown, already used, or older than its limit.",
        );
      const session = prepare();
      await database.write(async (handle) => {
        await keepSession(handle, session, localPrincipal.id);
        await handle.answer({ principal: localPrincipal });
      });
      return { principal: localPrincipal, ...session };
    },
    prepare,
    keep: keepSession,
    authenticate: (secret) => authenticateSession(database, hashSecret(secret)),
    end: async ({ tables }, hash) => {
      await tables.deleteFrom("sessions").where("hash", "=", hash).execute();
    },
    endAll: async ({ tables }, principal) => {
      const ended = await tables
        .deleteFrom("sessions")
        .where("principal_id", "=", principal)
        .returning("hash")
        .execute();
      return ended.map(({ hash }) => hash);
    },
  };
}

async function keepSession(
  { tables }: WriteHandle,
  { secret, expiresAt }: CookieSession,
  principal: string,
): Promise<void> {
  const now = Date.now();
  await tables.deleteFrom("sessions").where("expires_at", "<=", now).execute();
  await tables
    .insertInto("sessions")
    .values({
      hash: hashSecret(secret),
      principal_id: principal,
      created_at: now,
      expires_at: expiresAt,
    })
    .execute();
}

async function authenticateSession(database: Database, hash: string): Promise<Principal | null> {
  const row = await database.read
    .selectFrom("sessions")
    .select(["principal_id", "expires_at"])
    .where("hash", "=", hash)
    .executeTakeFirst();
  if (!row || row.expires_at <= Date.now()) return null;
  const session = { kind: "cookie", id: hash } as const;
  if (row.principal_id === localPrincipal.id) return { ...localPrincipal, session };
  const user = await findUser(database, row.principal_id);
  return user?.disabled === 0 ? toPrincipal(user, session) : null;
}
