import { createHash, randomBytes } from "node:crypto";
import type { Selectable } from "kysely";
import {
  type Database,
  type GrantLevel,
  newId,
  type OpenTables,
  type WriteHandle,
} from "#base/database/index.ts";
import {
  type CandorError,
  InputInvalidError,
  NotFoundError,
  PermissionDeniedError,
  toCandorError,
} from "#base/errors/index.ts";
import {
  localPrincipal,
  lowerRole,
  type Principal,
  type Role,
  roleIncludes,
  roles,
} from "./principal.ts";
import { findUser } from "./user.ts";
import type { OnChange } from "./users.ts";

type KeyRow = Selectable<OpenTables["api_keys"]>;

/** An API key as every door shows it; the secret itself only in the answer that creates it. */
export type ApiKey = {
  id: string;
  name: string;
  role: Role;
  owner: string;
  /** Whether it reaches only the collections it was given; else all that its owner was given. */
  limited: boolean;
  prefix: string;
  createdAt: string;
  expiresAt: string | null;
  lastUsedAt: string | null;
  revokedAt: string | null;
};

export type NewKey = {
  readonly name: string;
  readonly role?: Role | undefined;
  readonly expiresAt?: string | undefined;
  /** The key reaches these collections and no others, each with at most what its owner has at the moment. */
  readonly grants?:
    | readonly { readonly collection: string; readonly right: GrantLevel }[]
    | undefined;
};

/** Bytes of randomness in a key: 256 bits, so a plain SHA-256 of it is a safe thing to store. */
const keyBytes = 32;

/** How stale `lastUsedAt` may be, so that reading does not become writing. */
const lastUsedResolutionMs = 60_000;

export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

export type ApiKeys = {
  /** `grants` name collections by id; that the maker has those rights is checked before. */
  create(by: Principal, wanted: NewKey): Promise<ApiKey & { key: string }>;
  list(by: Principal, page: { after?: string | undefined; limit: number }): Promise<ApiKey[]>;
  revoke(by: Principal, id: string): Promise<{ id: string; revokedAt: string }>;
  /** The principal of a presented key, or null when it is unknown, expired or revoked, or stopped with whom it works for. */
  authenticate(secret: string): Promise<Principal | null>;
  /** The principal that a key is, or null as above. */
  principalOf(id: string): Promise<Principal | null>;
};

export function createApiKeys(database: Database, onChange: OnChange): ApiKeys {
  return {
    create: (by, wanted) => createKey(database, by, wanted),
    list: async (by, page) => {
      let query = database.read.selectFrom("api_keys").selectAll();
      if (!roleIncludes(by.role, "admin"))
        query = query.where((is) =>
          is.or([is("owner", "in", [by.id, by.owner]), is("id", "=", by.id)]),
        );
      if (page.after !== undefined) query = query.where("id", ">", page.after);
      return (await query.orderBy("id").limit(page.limit).execute()).map(toApiKey);
    },
    revoke: async (by, id) => {
      const revoked = await revokeKey(database, by, id);
      await onChange([id]);
      return revoked;
    },
    authenticate: async (secret) => {
      // Looked up by the hash of 256 random bits: timing tells nothing about any stored key.
      const row = await keyWhere(database, "hash", hashSecret(secret));
      const principal = row ? await standing(database, row) : null;
      if (row && principal) await noteUse(database, row);
      return principal;
    },
    principalOf: async (id) => {
      const row = await keyWhere(database, "id", id);
      return row ? standing(database, row) : null;
    },
  };
}

function keyWhere(database: Database, column: "hash" | "id", value: string) {
  return database.read
    .selectFrom("api_keys")
    .selectAll()
    .where(column, "=", value)
    .executeTakeFirst();
}

async function createKey(
  database: Database,
  by: Principal,
  wanted: NewKey,
): Promise<ApiKey & { key: string }> {
  const role = wanted.role ?? lowerRole(by.role, "api_user");
  if (!roleIncludes(by.role, role))
    throw new PermissionDeniedError(
      `A key has at most its creator's role: asked for ${role}, you are ${by.role}.`,
      { details: { valid: roles.filter((known) => roleIncludes(by.role, known)) } },
    );
  if (by.limited)
    throw new PermissionDeniedError(
      "A key that is limited to some collections makes no keys: use its owner's sign-in.",
    );
  if (wanted.grants !== undefined && !roleIncludes("api_user", role))
    throw new InputInvalidError(
      `A key that is limited to some collections has at most the role api_user: ${role} sees more than collections.`,
      { errors: [{ pointer: "/role", message: "is api_user or read_only with grants" }] },
    );
  const expires = wanted.expiresAt === undefined ? null : Date.parse(wanted.expiresAt);
  if (expires !== null && !(expires > Date.now()))
    throw new InputInvalidError(`expiresAt ${wanted.expiresAt} is no time in the future.`, {
      errors: [{ pointer: "/expiresAt", message: "must lie in the future" }],
    });
  const key = `candor_${randomBytes(keyBytes).toString("base64url")}`;
  const row: KeyRow = {
    id: newId("key"),
    name: wanted.name,
    hash: hashSecret(key),
    prefix: key.slice(0, 12),
    role,
    owner: by.id,
    limited: wanted.grants === undefined ? 0 : 1,
    created_at: Date.now(),
    expires_at: expires,
    last_used_at: null,
    revoked_at: null,
  };
  return database.write(async (handle) => {
    await handle.tables.insertInto("api_keys").values(row).execute();
    await delegate(handle, row, wanted.grants ?? []);
    return handle.answer({ ...toApiKey(row), key });
  });
}

async function delegate(
  { tables }: WriteHandle,
  key: KeyRow,
  grants: NonNullable<NewKey["grants"]>,
): Promise<void> {
  if (grants.length === 0) return;
  await tables
    .insertInto("grants")
    .orReplace()
    .values(
      grants.map(({ collection, right }) => ({
        principal_id: key.id,
        collection_id: collection,
        level: right,
        created_at: key.created_at,
        delegated: 1,
      })),
    )
    .execute();
}

async function revokeKey(
  database: Database,
  by: Principal,
  id: string,
): Promise<{ id: string; revokedAt: string }> {
  const now = Date.now();
  const row = await keyWhere(database, "id", id);
  const reachable =
    row &&
    (roleIncludes(by.role, "admin") || [by.id, by.owner].includes(row.owner) || row.id === by.id);
  if (!reachable) throw new NotFoundError(`There is no key "${id}".`);
  if (!roleIncludes(by.role, row.role as Role))
    throw new PermissionDeniedError(`A key of role ${row.role} is revoked by that role or above.`);
  return database.write(async ({ tables, answer }) => {
    await tables
      .updateTable("api_keys")
      .set({ revoked_at: now })
      .where("id", "=", id)
      .where("revoked_at", "is", null)
      .execute();
    return answer({ id, revokedAt: new Date(row.revoked_at ?? now).toISOString() });
  });
}

/** These principals, and the keys that were made by them and by each other: what ends or limits one concerns all of them. */
export async function withTheirKeys(
  database: Database,
  principals: readonly string[],
): Promise<string[]> {
  const family = [...principals];
  for (const member of family) {
    const made = await database.read
      .selectFrom("api_keys")
      .select("id")
      .where("owner", "=", member)
      .execute();
    family.push(...made.map((key) => key.id));
  }
  return family;
}

/**
 * The principal of a key, or null where it does not work: it is revoked or expired, a key that made it is, or the user for
 * whom it works is disabled or gone. Its role is at most that of each of them.
 */
async function standing(database: Database, key: KeyRow): Promise<Principal | null> {
  const now = Date.now();
  let role = key.role as Role;
  for (let row = key; ;) {
    if (row.revoked_at !== null || (row.expires_at !== null && row.expires_at <= now)) return null;
    role = lowerRole(role, row.role as Role);
    const { owner } = row;
    if (!owner.startsWith("key_")) {
      const user = owner === localPrincipal.id ? null : await findUser(database, owner);
      if (user === undefined || user?.disabled === 1) return null;
      return {
        id: key.id,
        name: key.name,
        role: user ? lowerRole(role, user.role as Role) : role,
        kind: "key",
        owner: key.limited === 1 ? key.id : owner,
        account: owner,
        limited: key.limited === 1,
        session: null,
      };
    }
    const maker = await keyWhere(database, "id", owner);
    if (!maker) return null;
    row = maker;
  }
}

/** States of the store in which reads go on: who may read does not hang on whether a time can be written. */
const storeTakesNoWrites: readonly CandorError["code"][] = [
  "disk_full",
  "database_read_only",
  "database_busy",
  "database_unavailable",
];

async function noteUse(database: Database, row: KeyRow): Promise<void> {
  const now = Date.now();
  if (row.last_used_at !== null && now - row.last_used_at <= lastUsedResolutionMs) return;
  try {
    await database.write(({ tables }) =>
      tables.updateTable("api_keys").set({ last_used_at: now }).where("id", "=", row.id).execute(),
    );
  } catch (thrown) {
    if (!storeTakesNoWrites.includes(toCandorError(thrown).code)) throw thrown;
  }
}

function toApiKey(row: KeyRow): ApiKey {
  const time = (at: number | null) => (at === null ? null : new Date(at).toISOString());
  return {
    id: row.id,
    name: row.name,
    role: row.role as Role,
    owner: row.owner,
    limited: row.limited === 1,
    prefix: row.prefix,
    createdAt: new Date(row.created_at).toISOString(),
    expiresAt: time(row.expires_at),
    lastUsedAt: time(row.last_used_at),
    revokedAt: time(row.revoked_at),
  };
}
