import { randomBytes, timingSafeEqual } from "node:crypto";
import type { Database, GrantLevel, Scope, WriteHandle } from "#base/database/index.ts";
import {
  AuthenticationRequiredError,
  CredentialInvalidError,
  InputInvalidError,
  NotFoundError,
  PermissionDeniedError,
  protectSecret,
} from "#base/errors/index.ts";
import { createAccessTokens } from "./access-tokens.ts";
import { type ApiKeys, createApiKeys, hashSecret, withTheirKeys } from "./api-keys.ts";
import { explain, type Explanation, principalOf, type Target } from "./explain.ts";
import { createGrants, type Grants } from "./grants.ts";
import { createLockOut, type LockOutLimits } from "./lock-out.ts";
import { createLogins, type Logins } from "./logins.ts";
import { createPasswords } from "./passwords.ts";
import { localPrincipal, type Principal, type Role, roleIncludes } from "./principal.ts";
import { rightIncludes, rightsOf, scopeOf } from "./rights.ts";
import { createSignIn, type SignIn } from "./sign-in.ts";
import { createUsers, type OnChange, type Users } from "./users.ts";

/** What an operation demands of its caller. `public`: anybody. */
export type Permission =
  | "public"
  | {
      readonly role: Role;
      /** The caller's own things only, below the role `admin` (or the role named by `all`). */
      readonly own?: { readonly all: Role };
      readonly grant?: { readonly on: "collections"; readonly right: GrantLevel };
    };

/** What a caller presents: an API key, an access token or the local key as bearer, or a session cookie. */
export type Credentials = { readonly bearer?: string; readonly session?: string };

export type AccessLimits = LockOutLimits & {
  readonly tokenMinutes: number;
  readonly sessionHours: number;
  readonly accessTokenMinutes: number;
  readonly refreshTokenDays: number;
  readonly passwordLength: number;
};

export type Access = {
  readonly users: Users;
  readonly keys: ApiKeys;
  readonly grants: Grants;
  readonly logins: Logins;
  readonly signIn: SignIn;
  /** The secret of the principal `local`, written to `run/server.json` for programs of the same user. */
  readonly localKey: string;
  /** Who presents these: null without any, CredentialInvalidError or TokenExpiredError for wrong ones. */
  authenticate(credentials: Credentials): Promise<Principal | null>;
  /** Raises unless `principal` has the role that `permission` names. Returns the principal, now known to be there. */
  admit(principal: Principal | null, permission: Permission): Principal | null;
  /** Who acts under the id of a user or key, or as `local`, at the moment; null: nobody may any more. */
  principalOf(id: string): Promise<Principal | null>;
  /** The collections `principal` may read and write. */
  scopeOf(principal: Principal): Promise<Scope>;
  /** The principal's right on a collection; admins and above are owners. Null: none. */
  rightOn(principal: Principal, collection: string): Promise<GrantLevel | null>;
  /** Raises NotFoundError without any right (it looks as if the thing were not there), PermissionDeniedError with too small a one. */
  demand(
    principal: Principal,
    collection: { id: string; called: string },
    right: GrantLevel,
  ): Promise<GrantLevel>;
  /** Raises PermissionDeniedError unless the owner of work that goes on by itself may write into a collection at the moment. */
  demandWriter(owner: string, collection: string): Promise<void>;
  /** Which rule lets a user, key or `local` do something, or refuses it. */
  explain(
    principal: string,
    asked: { permission: Permission; target: Target | null },
  ): Promise<Explanation>;
  /** Signs the caller out of the sign-in it came by, or of all of them. API keys stay: they are revoked one by one. */
  signOut(principal: Principal, everywhere: boolean): Promise<{ ended: number }>;
  /** Grows with every change that `onChange` tells of. */
  generation(): number;
  /** Calls `listener` with the ids of principals and sign-ins whose rights were changed or ended, until the returned function is called. */
  onChange(listener: (affected: readonly string[]) => void): () => void;
};

export type AccessOptions = {
  readonly database: Database;
  /** Seals what is stored; asked for when it is needed. */
  readonly secretKey: () => string;
  readonly limits: AccessLimits;
  /** Where a fault goes that is no reason to fail. */
  readonly report: (thrown: unknown) => Promise<unknown>;
};

/** The one place that says yes or no. */
export function createAccess(options: AccessOptions): Access {
  const { database } = options;
  const listeners = new Set<(affected: readonly string[]) => void>();
  let generation = 0;
  const changed = async (affected: readonly string[]) => {
    generation += 1;
    const all = await withTheirKeys(database, affected);
    for (const listener of listeners) listener(all);
  };
  const parts = createParts(options, changed);
  const { keys, logins, signIn, tokens, endSessions } = parts;
  const localKey = `candor_local_${randomBytes(32).toString("base64url")}`;
  protectSecret(localKey);
  const isLocalKey = secretMatcher(localKey);
  return {
    users: parts.users,
    keys,
    grants: createGrants(database, changed),
    logins,
    signIn,
    localKey,
    authenticate: async ({ bearer, session }) => {
      if (bearer === undefined) return session === undefined ? null : ofCookie(signIn, session);
      if (isLocalKey(bearer)) return localPrincipal;
      // A JWT has three parts between dots, which no key of ours has.
      const principal = bearer.includes(".")
        ? await logins.userOf(await tokens.verify(bearer))
        : await keys.authenticate(bearer);
      if (principal) return principal;
      throw new CredentialInvalidError("The key or token is unknown, expired or revoked.");
    },
    admit,
    principalOf: (id) => principalOf(database, keys, id),
    scopeOf: (principal) => scopeOf(database, principal),
    rightOn: (principal, collection) => rightOn(database, principal, collection),
    demand: (principal, collection, right) => demand(database, principal, collection, right),
    demandWriter: (owner, collection) => demandWriter({ database, keys }, owner, collection),
    explain: (principal, asked) => explain({ database, keys }, principal, asked),
    signOut: async (principal, everywhere) => {
      const end = everywhere
        ? endEverywhere(principal, endSessions)
        : endOne(principal, { logins, signIn });
      const ended = await database.write(async (handle) => {
        const ids = await end(handle);
        await handle.answer({ ended: ids.length });
        return ids;
      });
      await changed(ended);
      return { ended: ended.length };
    },
    generation: () => generation,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function createParts({ database, secretKey, limits, report }: AccessOptions, changed: OnChange) {
  const keys = createApiKeys(database, changed);
  const signIn = createSignIn(database, limits);
  const passwords = createPasswords(limits.passwordLength);
  const lockOut = createLockOut(database, limits);
  const minutes = limits.accessTokenMinutes;
  const tokens = createAccessTokens({ database, secretKey, minutes, report });
  const logins = createLogins(
    { database, tokens, passwords, lockOut, signIn },
    limits.refreshTokenDays,
    changed,
  );
  const endSessions = async (handle: WriteHandle, principal: string) => [
    ...(await logins.endAll(handle, principal)),
    ...(await signIn.endAll(handle, principal)),
  ];
  const users = createUsers({ database, passwords, lockOut, endSessions }, changed);
  return { keys, signIn, tokens, logins, users, endSessions };
}

async function demand(
  database: Database,
  principal: Principal,
  collection: { id: string; called: string },
  right: GrantLevel,
): Promise<GrantLevel> {
  const held = await rightOn(database, principal, collection.id);
  if (held === null) throw new NotFoundError(`There is no collection "${collection.called}".`);
  if (!rightIncludes(held, right))
    throw new PermissionDeniedError(
      `This needs the right ${right} on collection "${collection.called}"; you have ${held}.`,
    );
  return held;
}

async function demandWriter(
  { database, keys }: { database: Database; keys: ApiKeys },
  owner: string,
  collection: string,
): Promise<void> {
  const principal = await principalOf(database, keys, owner);
  const right = principal && (await rightOn(database, principal, collection));
  const may = principal !== null && roleIncludes(principal.role, "api_user");
  if (!may || right === null || !rightIncludes(right, "write"))
    throw new PermissionDeniedError(
      `${owner}, in whose name this is done, may not write into collection ${collection} any more.`,
    );
}

async function ofCookie(signIn: SignIn, session: string): Promise<Principal> {
  const principal = await signIn.authenticate(session);
  if (principal) return principal;
  throw new CredentialInvalidError("The session is unknown or expired: sign in again.");
}

function admit(principal: Principal | null, permission: Permission): Principal | null {
  if (permission === "public") return principal;
  if (!principal)
    throw new AuthenticationRequiredError("This needs a key or a session.", {
      nextStep: {
        text: "Create a key with `candor keys create NAME` and send it as `Authorization: Bearer …`.",
      },
    });
  if (!roleIncludes(principal.role, permission.role))
    throw new PermissionDeniedError(
      `This needs the role ${permission.role} or above; you are ${principal.role}.`,
    );
  return principal;
}

async function rightOn(
  database: Database,
  principal: Principal,
  collection: string,
): Promise<GrantLevel | null> {
  const rights = await rightsOf(database, principal, collection);
  return rights === "all" ? "owner" : (rights.get(collection)?.level ?? null);
}

/** Ends sign-ins in a transaction; returns their ids. */
type End = (handle: WriteHandle) => Promise<string[]>;

function endOne(
  { session }: Principal,
  { logins, signIn }: { logins: Logins; signIn: SignIn },
): End {
  if (session === null)
    throw new InputInvalidError(
      "A key is not signed in: end it with keys.revoke, or name `everywhere` to end sign-ins.",
      { errors: [{ pointer: "/everywhere", message: "is needed without a sign-in" }] },
    );
  return async (handle) => {
    await (session.kind === "login" ? logins : signIn).end(handle, session.id);
    return [session.id];
  };
}

function endEverywhere(
  principal: Principal,
  endSessions: (handle: WriteHandle, principal: string) => Promise<string[]>,
): End {
  if (principal.kind === "key")
    throw new PermissionDeniedError("A key signs nobody out: sign in as the user.");
  return (handle) => endSessions(handle, principal.id);
}

/** Compares hashes, so that the time it takes says nothing about the secret. */
function secretMatcher(secret: string): (presented: string) => boolean {
  const expected = Buffer.from(hashSecret(secret));
  return (presented) => timingSafeEqual(Buffer.from(hashSecret(presented)), expected);
}
