import { createHash, randomBytes } from "node:crypto";
import { type Database, newId, type OpenTables } from "#base/database/index.ts";
import {
  type CandorError,
  InputInvalidError,
  NotFoundError,
  PermissionDeniedError,
  toCandorError,
} from "#base/errors/index.ts";
import { type Principal, type Role, roleIncludes, roles } from "./principal.ts";

type KeyRow = OpenTables["api_keys"];

/** An API key as every door shows it; the secret itself only in the answer that creates it. */
export type ApiKey = {
  id: string;
  name: string;
  role: Role;
  owner: string;
  prefix: string;
  createdAt: string;
  expiresAt: string | null;
  lastUsedAt: string | null;
  revokedAt: string | null;
};

/** Bytes of randomness in a key: 256 bits, so a plain SHA-256 of it is a safe thing to store. */
const keyBytes = 32;

/** How stale `lastUsedAt` may be, so that reading does not become writing. */
const lastUsedResolutionMs = 60_000;

export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

export type ApiKeys = {
  create(
    by: Principal,
    wanted: { name: string; role?: Role | undefined; expiresAt?: string | undefined },
  ): Promise<ApiKey & { key: string }>;
  list(by: Principal, page: { after?: string | undefined; limit: number }): Promise<ApiKey[]>;
  revoke(by: Principal, id: string): Promise<{ id: string; revokedAt: string }>;
  /** The principal of a presented key, or null when it is unknown, expired or revoked. */
  authenticate(secret: string): Promise<Principal | null>;
};

export function createApiKeys(database: Database): ApiKeys {
  return {
    create: (by, wanted) => createKey(database, by, wanted),
    list: async (by, page) => {
      let query = database.read.selectFrom("api_keys").selectAll();
      if (!roleIncludes(by.role, "admin"))
        query = query.where((is) => is.or([is("owner", "=", by.id), is("id", "=", by.id)]));
      if (page.after !== undefined) query = query.where("id", ">", page.after);
      return (await query.orderBy("id").limit(page.limit).execute()).map(toApiKey);
    },
    revoke: async (by, id) => {
      const now = Date.now();
      const row = await database.read
        .selectFrom("api_keys")
        .selectAll()
        .where("id", "=", id)
        .executeTakeFirst();
      const reachable =
        row && (roleIncludes(by.role, "admin") || row.owner === by.id || row.id === by.id);
      if (!reachable) throw new NotFoundError(`There is no key "${id}".`);
      if (!roleIncludes(by.role, row.role as Role))
        throw new PermissionDeniedError(
          `A key of role ${row.role} is revoked by that role or above.`,
        );
      return database.write(async ({ tables, answer }) => {
        await tables
          .updateTable("api_keys")
          .set({ revoked_at: now })
          .where("id", "=", id)
          .where("revoked_at", "is", null)
          .execute();
        return answer({ id, revokedAt: new Date(row.revoked_at ?? now).toISOString() });
      });
    },
    authenticate: (secret) => authenticateKey(database, secret),
  };
}

async function createKey(
  database: Database,
  by: Principal,
  wanted: { name: string; role?: Role | undefined; expiresAt?: string | undefined },
): Promise<ApiKey & { key: string }> {
  const role = wanted.role ?? (roleIncludes(by.role, "api_user") ? "api_user" : by.role);
  if (!roleIncludes(by.role, role))
    throw new PermissionDeniedError(
      `A key has at most its creator's role: asked for ${role}, you are ${by.role}.`,
      { details: { valid: roles.filter((known) => roleIncludes(by.role, known)) } },
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
    created_at: Date.now(),
    expires_at: expires,
    last_used_at: null,
    revoked_at: null,
  };
  return database.write(async ({ tables, answer }) => {
    await tables.insertInto("api_keys").values(row).execute();
    return answer({ ...toApiKey(row), key });
  });
}

async function authenticateKey(database: Database, secret: string): Promise<Principal | null> {
  // Looked up by the hash of 256 random bits: timing tells nothing about any stored key.
  const row = await database.read
    .selectFrom("api_keys")
    .selectAll()
    .where("hash", "=", hashSecret(secret))
    .executeTakeFirst();
  const now = Date.now();
  if (!row || !(await stands(database, row, now))) return null;
  if (row.last_used_at === null || now - row.last_used_at > lastUsedResolutionMs)
    await noteUse(database, row.id, now);
  return { id: row.id, name: row.name, role: row.role as Role, kind: "key" };
}

/** Whether a key works: neither revoked nor expired, and if a key made it, that one works too. */
async function stands(database: Database, key: KeyRow, now: number): Promise<boolean> {
  for (let row: KeyRow | undefined = key; ;) {
    if (!row || row.revoked_at !== null || (row.expires_at !== null && row.expires_at <= now))
      return false;
    if (!row.owner.startsWith("key_")) return true;
    row = await database.read
      .selectFrom("api_keys")
      .selectAll()
      .where("id", "=", row.owner)
      .executeTakeFirst();
  }
}

/** States of the store in which reads go on: who may read does not hang on whether a time can be written. */
const storeTakesNoWrites: readonly CandorError["code"][] = [
  "disk_full",
  "database_read_only",
  "database_busy",
  "database_unavailable",
];

async function noteUse(database: Database, id: string, now: number): Promise<void> {
  try {
    await database.write(({ tables }) =>
      tables.updateTable("api_keys").set({ last_used_at: now }).where("id", "=", id).execute(),
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
    prefix: row.prefix,
    createdAt: new Date(row.created_at).toISOString(),
    expiresAt: time(row.expires_at),
    lastUsedAt: time(row.last_used_at),
    revokedAt: time(row.revoked_at),
  };
}
