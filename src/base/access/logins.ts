import { randomBytes } from "node:crypto";
import { type Database, newId, type WriteHandle } from "#base/database/index.ts";
import {
  CredentialInvalidError,
  LoginFailedError,
  RefreshTokenReusedError,
} from "#base/errors/index.ts";
import type { AccessTokens } from "./access-tokens.ts";
import { hashSecret } from "./api-keys.ts";
import type { LockOut } from "./lock-out.ts";
import type { Passwords } from "./passwords.ts";
import type { Principal, Role } from "./principal.ts";
import type { SignIn } from "./sign-in.ts";
import { findUser, toPrincipal, type UserRow } from "./user.ts";
import type { OnChange, OnUser } from "./users.ts";

/** What a sign-in gives: tokens for programs, or a cookie for a browser, which shows no secret to the page. */
export type SignedIn = {
  principal: { id: string; name: string; role: Role };
  accessToken: string | null;
  accessTokenExpiresAt: string | null;
  refreshToken: string | null;
  expiresAt: string;
};

export type Logins = {
  /**
   * Raises LoginFailedError for a wrong name or password, which it does not tell apart, and LoginLockedError.
   * `onUser` hears who it is as soon as that is known.
   */
  withPassword(
    given: { name: string; password: string; as: "tokens" | "cookie" },
    onUser: OnUser,
  ): Promise<SignedIn & { cookie: { secret: string; expiresAt: number } | null }>;
  /** Spends a refresh token (RFC 6749, section 10.4: rotation); one that was spent before ends the whole login. */
  refresh(token: string, onUser: OnUser): Promise<SignedIn>;
  /** The user of a verified access token, or null when the login was ended or the user may not sign in any more. */
  userOf(claims: { user: string; login: string }): Promise<Principal | null>;
  /** Ends every login of a user inside a transaction; returns their ids. */
  endAll(handle: WriteHandle, user: string): Promise<string[]>;
  /** Ends one login inside a transaction. */
  end(handle: WriteHandle, login: string): Promise<void>;
};

type Rooms = {
  readonly database: Database;
  readonly tokens: AccessTokens;
  readonly passwords: Passwords;
  readonly lockOut: LockOut;
  readonly signIn: SignIn;
};

export function createLogins(rooms: Rooms, days: number, onChange: OnChange): Logins {
  const { database } = rooms;
  return {
    withPassword: async ({ name, password, as }, onUser) => {
      const wanted = name.toLowerCase();
      await rooms.lockOut.attempt(wanted);
      const user = await findUser(database, wanted);
      if (user) onUser(user.id);
      const right = await rooms.passwords.verify(password, user?.password_hash ?? null);
      if (!user || !right || user.disabled === 1) throw loginFailed();
      await rooms.lockOut.forgive(wanted);
      if (as === "cookie") return openCookie(rooms, user);
      const signedIn = await openLogin(rooms, user, Date.now() + days * 86_400_000);
      return { ...signedIn, cookie: null };
    },
    refresh: (token, onUser) => refresh(rooms, token, { onUser, onChange }),
    userOf: async ({ user, login }) => {
      const row = await database.read
        .selectFrom("logins")
        .innerJoin("users", "users.id", "logins.user_id")
        .selectAll("users")
        .where("logins.id", "=", login)
        .where("users.id", "=", user)
        .where("logins.revoked_at", "is", null)
        .where("logins.expires_at", ">", Date.now())
        .where("users.disabled", "=", 0)
        .executeTakeFirst();
      return row ? toPrincipal(row, { kind: "login", id: login }) : null;
    },
    endAll: async ({ tables }, user) => {
      const ended = await tables
        .updateTable("logins")
        .set({ revoked_at: Date.now() })
        .where("user_id", "=", user)
        .where("revoked_at", "is", null)
        .returning("id")
        .execute();
      return ended.map(({ id }) => id);
    },
    end: endLogin,
  };
}

function loginFailed(): Error {
  return new LoginFailedError("The name or the password is wrong, or the user is disabled.");
}

async function openCookie({ database, signIn }: Rooms, user: UserRow) {
  const cookie = signIn.prepare();
  const signedIn: SignedIn = {
    principal: { id: user.id, name: user.name, role: user.role as Role },
    accessToken: null,
    accessTokenExpiresAt: null,
    refreshToken: null,
    expiresAt: new Date(cookie.expiresAt).toISOString(),
  };
  await database.write(async (handle) => {
    await noteLogin(handle, user);
    await signIn.keep(handle, cookie, user.id);
    return handle.answer(signedIn);
  });
  return { ...signedIn, cookie };
}

async function openLogin(rooms: Rooms, user: UserRow, expiresAt: number): Promise<SignedIn> {
  const login = newId("ses");
  const refreshToken = newRefreshToken();
  const signedIn = await toSignedIn(rooms, user, { login, refreshToken, expiresAt });
  return rooms.database.write(async (handle) => {
    const { tables } = handle;
    const now = Date.now();
    await noteLogin(handle, user);
    await tables.deleteFrom("logins").where("expires_at", "<=", now).execute();
    await tables
      .insertInto("logins")
      .values({
        id: login,
        user_id: user.id,
        created_at: now,
        expires_at: expiresAt,
        revoked_at: null,
      })
      .execute();
    await keepRefreshToken(handle, refreshToken, login);
    return handle.answer(signedIn);
  });
}

async function refresh(
  rooms: Rooms,
  token: string,
  told: { onUser: OnUser; onChange: OnChange },
): Promise<SignedIn> {
  const { database } = rooms;
  const hash = hashSecret(token);
  const held = await database.read
    .selectFrom("refresh_tokens")
    .innerJoin("logins", "logins.id", "refresh_tokens.login_id")
    .select(["logins.id", "logins.user_id", "logins.expires_at", "logins.revoked_at"])
    .where("refresh_tokens.hash", "=", hash)
    .executeTakeFirst();
  const user = held && (await findUser(database, held.user_id));
  if (user) told.onUser(user.id);
  const stands = held?.revoked_at === null && held.expires_at > Date.now();
  if (!held || !user || !stands || user.disabled === 1)
    throw new CredentialInvalidError("The refresh token is unknown, expired or revoked.");
  const { id: login, expires_at: expiresAt } = held;
  const refreshToken = newRefreshToken();
  const signedIn = await toSignedIn(rooms, user, { login, refreshToken, expiresAt });
  const spent = await database.write(async (handle) => {
    const { tables } = handle;
    const { numUpdatedRows } = await tables
      .updateTable("refresh_tokens")
      .set({ spent_at: Date.now() })
      .where("hash", "=", hash)
      .where("spent_at", "is", null)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) {
      await endLogin(handle, login);
      return null;
    }
    await keepRefreshToken(handle, refreshToken, login);
    return handle.answer(signedIn);
  });
  if (spent) return spent;
  await told.onChange([login]);
  throw new RefreshTokenReusedError(
    "The refresh token was used before: the whole sign-in was ended. Sign in again.",
  );
}

async function toSignedIn(
  { tokens }: Rooms,
  user: UserRow,
  { login, refreshToken, expiresAt }: { login: string; refreshToken: string; expiresAt: number },
): Promise<SignedIn> {
  const access = await tokens.sign({ user: user.id, login });
  return {
    principal: { id: user.id, name: user.name, role: user.role as Role },
    accessToken: access.token,
    accessTokenExpiresAt: new Date(Math.min(access.expiresAt, expiresAt)).toISOString(),
    refreshToken,
    expiresAt: new Date(expiresAt).toISOString(),
  };
}

function newRefreshToken(): string {
  return `candor_refresh_${randomBytes(32).toString("base64url")}`;
}

async function keepRefreshToken(
  { tables }: WriteHandle,
  token: string,
  login: string,
): Promise<void> {
  await tables
    .insertInto("refresh_tokens")
    .values({ hash: hashSecret(token), login_id: login, created_at: Date.now(), spent_at: null })
    .execute();
}

/** Raises LoginFailedError where the user was disabled or deleted, or got another password, while this one was looked at. */
async function noteLogin({ tables }: WriteHandle, user: UserRow): Promise<void> {
  const { numUpdatedRows } = await tables
    .updateTable("users")
    .set({ last_login_at: Date.now() })
    .where("id", "=", user.id)
    .where("password_hash", "=", user.password_hash)
    .where("disabled", "=", 0)
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw loginFailed();
}

async function endLogin({ tables }: WriteHandle, login: string): Promise<void> {
  await tables
    .updateTable("logins")
    .set({ revoked_at: Date.now() })
    .where("id", "=", login)
    .where("revoked_at", "is", null)
    .execute();
}
