import { randomBytes, timingSafeEqual } from "node:crypto";
import type { Database, GrantLevel, Scope } from "#base/database/index.ts";
import {
  AuthenticationRequiredError,
  CredentialInvalidError,
  NotFoundError,
  PermissionDeniedError,
  protectSecret,
} from "#base/errors/index.ts";
import { type ApiKeys, createApiKeys, hashSecret } from "./api-keys.ts";
import { localPrincipal, type Principal, type Role, roleIncludes } from "./principal.ts";
import { createSignIn, type SignIn } from "./sign-in.ts";

/** What an operation demands of its caller. `public`: anybody. */
export type Permission =
  | "public"
  | {
      readonly role: Role;
      /** The caller's own things only, below the role `admin` (or the role named by `all`). */
      readonly own?: { readonly all: Role };
      readonly grant?: { readonly on: "collections"; readonly right: GrantLevel };
    };

/** What a caller presents: an API key or the local key as bearer, or a session cookie. */
export type Credentials = { readonly bearer?: string; readonly session?: string };

const rank: Record<GrantLevel, number> = { read: 1, write: 2, owner: 3 };

export type Access = {
  readonly keys: ApiKeys;
  readonly signIn: SignIn;
  /** The secret of the principal `local`, written to `run/server.json` for programs of the same user. */
  readonly localKey: string;
  /** Who presents these: null without any, CredentialInvalidError for wrong ones. */
  authenticate(credentials: Credentials): Promise<Principal | null>;
  /** Raises unless `principal` has the role that `permission` names. Returns the principal, now known to be there. */
  admit(principal: Principal | null, permission: Permission): Principal | null;
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
};

/** The one place that says yes or no. */
export function createAccess(
  database: Database,
  limits: { tokenMinutes: number; sessionHours: number },
): Access {
  const keys = createApiKeys(database);
  const signIn = createSignIn(database, limits);
  const localKey = `candor_local_${randomBytes(32).toString("base64url")}`;
  protectSecret(localKey);
  return {
    keys,
    signIn,
    localKey,
    authenticate: (credentials) => authenticate({ keys, signIn, localKey }, credentials),
    admit,
    scopeOf: (principal) => scopeOf(database, principal),
    rightOn: (principal, collection) => rightOn(database, principal, collection),
    demand: async (principal, collection, right) => {
      const held = await rightOn(database, principal, collection.id);
      if (held === null) throw new NotFoundError(`There is no collection "${collection.called}".`);
      if (rank[held] < rank[right])
        throw new PermissionDeniedError(
          `This needs the right ${right} on collection "${collection.called}"; you have ${held}.`,
        );
      return held;
    },
  };
}

async function authenticate(
  { keys, signIn, localKey }: Pick<Access, "keys" | "signIn" | "localKey">,
  { bearer, session }: Credentials,
): Promise<Principal | null> {
  if (bearer !== undefined) {
    const principal = equalSecrets(bearer, localKey)
      ? localPrincipal
      : await keys.authenticate(bearer);
    if (principal) return principal;
    throw new CredentialInvalidError("The key is unknown, expired or revoked.");
  }
  if (session === undefined) return null;
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
  if (roleIncludes(principal.role, "admin")) return "owner";
  const grant = await database.read
    .selectFrom("grants")
    .select("level")
    .where("principal_id", "=", principal.id)
    .where("collection_id", "=", collection)
    .executeTakeFirst();
  return grant?.level ?? null;
}

async function scopeOf(database: Database, principal: Principal): Promise<Scope> {
  if (roleIncludes(principal.role, "admin"))
    return { principal: principal.id, read: "all", write: "all" };
  const grants = await database.read
    .selectFrom("grants")
    .select(["collection_id", "level"])
    .where("principal_id", "=", principal.id)
    .execute();
  const from = (least: GrantLevel) =>
    grants.filter((grant) => rank[grant.level] >= rank[least]).map((grant) => grant.collection_id);
  return { principal: principal.id, read: from("read"), write: from("write") };
}

function equalSecrets(presented: string, expected: string): boolean {
  return timingSafeEqual(Buffer.from(hashSecret(presented)), Buffer.from(hashSecret(expected)));
}
