import type { Database, GrantLevel } from "#base/database/index.ts";
import { LastOwnerError, NotFoundError, PermissionDeniedError } from "#base/errors/index.ts";
import { localPrincipal, type Principal } from "./principal.ts";
import { findUser } from "./user.ts";
import type { OnChange } from "./users.ts";

/** A right of a user or key on a collection, as its owner sees it. */
export type Grant = {
  principal: { id: string; name: string; kind: "local" | "user" | "key" };
  right: GrantLevel;
  /** Given to a limited key at its making: worth at most what its owner has. */
  delegated: boolean;
  createdAt: string;
};

export type Grants = {
  list(collection: string, page: { after?: string | undefined; limit: number }): Promise<Grant[]>;
  /** Gives a user or key, by id or user name, this right instead of the one it has. Raises NotFoundError and LastOwnerError. */
  set(by: Principal, given: Given & { right: GrantLevel }): Promise<Grant>;
  remove(by: Principal, given: Given): Promise<{ principal: string; removed: true }>;
};

/** A collection by its id, and a user or key by its id or user name; `onPrincipal` hears the id as soon as that is known. */
type Given = {
  readonly collection: string;
  readonly principal: string;
  readonly onPrincipal: (id: string) => void;
};

type Named = Grant["principal"];

export function createGrants(database: Database, onChange: OnChange): Grants {
  return {
    list: (collection, page) => listGrants(database, collection, page),
    set: async (by, { collection, principal: named, right, onPrincipal }) => {
      const principal = await findPrincipal(database, named);
      onPrincipal(principal.id);
      refuseLimited(by);
      const now = Date.now();
      const grant = await database.write(async (handle) => {
        await keepAnOwner(handle.tables, collection, principal.id, right);
        await handle.tables
          .insertInto("grants")
          .orReplace()
          .values({
            principal_id: principal.id,
            collection_id: collection,
            level: right,
            created_at: now,
          })
          .execute();
        return handle.answer({
          principal,
          right,
          delegated: false,
          createdAt: new Date(now).toISOString(),
        });
      });
      await onChange([principal.id]);
      return grant;
    },
    remove: async (by, { collection, principal: named, onPrincipal }) => {
      const id = (await findNamed(database, named))?.id ?? named;
      onPrincipal(id);
      refuseLimited(by);
      const removed = await database.write(async ({ tables, answer }) => {
        await keepAnOwner(tables, collection, id, null);
        const { numDeletedRows } = await tables
          .deleteFrom("grants")
          .where("collection_id", "=", collection)
          .where("principal_id", "=", id)
          .executeTakeFirst();
        if (numDeletedRows === 0n)
          throw new NotFoundError(`"${named}" has no grant on this collection.`);
        return answer({ principal: id, removed: true as const });
      });
      await onChange([id]);
      return removed;
    },
  };
}

async function listGrants(
  database: Database,
  collection: string,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<Grant[]> {
  let query = database.read
    .selectFrom("grants")
    .leftJoin("users", "users.id", "grants.principal_id")
    .leftJoin("api_keys", "api_keys.id", "grants.principal_id")
    .select([
      "grants.principal_id as id",
      "grants.level",
      "grants.delegated",
      "grants.created_at",
      "users.name as user",
      "api_keys.name as key",
    ])
    .where("grants.collection_id", "=", collection);
  if (after !== undefined) query = query.where("grants.principal_id", ">", after);
  const rows = await query.orderBy("grants.principal_id").limit(limit).execute();
  return rows.map(({ id, level, delegated, created_at: at, user, key }) => ({
    principal: {
      id,
      name: user ?? key ?? id,
      kind: id === localPrincipal.id ? "local" : id.startsWith("key_") ? "key" : "user",
    },
    right: level,
    delegated: delegated === 1,
    createdAt: new Date(at).toISOString(),
  }));
}

async function findPrincipal(database: Database, named: string): Promise<Named> {
  const found = await findNamed(database, named);
  if (!found) throw new NotFoundError(`There is no user or key "${named}".`);
  return found;
}

/** A user by id or name, a key that works by its id, or `local`. */
async function findNamed(database: Database, named: string): Promise<Named | null> {
  if (named === localPrincipal.id) return { id: named, name: named, kind: "local" };
  const user = await findUser(database, named);
  if (user) return { id: user.id, name: user.name, kind: "user" };
  const key = await database.read
    .selectFrom("api_keys")
    .select(["id", "name"])
    .where("id", "=", named)
    .where("revoked_at", "is", null)
    .executeTakeFirst();
  return key ? { ...key, kind: "key" } : null;
}

/** What a limited key has is worth at most what its owner has: it could make itself independent of that. */
function refuseLimited(by: Principal): void {
  if (by.limited)
    throw new PermissionDeniedError(
      "A key that is limited to some collections gives and takes no rights: use its owner's sign-in.",
    );
}

/**
 * Raises LastOwnerError when `principal` is the collection's only owner and would be one no more. A right that was delegated to
 * a key ends with its owner's, and revoked keys are nobody.
 */
async function keepAnOwner(
  tables: Database["unscoped"],
  collection: string,
  principal: string,
  right: GrantLevel | null,
): Promise<void> {
  if (right === "owner") return;
  const owners = await tables
    .selectFrom("grants")
    .select("principal_id")
    .where("collection_id", "=", collection)
    .where("level", "=", "owner")
    .where("delegated", "=", 0)
    .where("principal_id", "not in", (is) =>
      is.selectFrom("api_keys").select("id").where("revoked_at", "is not", null),
    )
    .limit(2)
    .execute();
  if (owners.length === 1 && owners[0]?.principal_id === principal)
    throw new LastOwnerError(
      "This is the collection's only owner: give somebody else the right owner first.",
    );
}
