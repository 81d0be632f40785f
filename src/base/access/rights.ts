import type { Database, GrantLevel, Scope } from "#base/database/index.ts";
import { localPrincipal, type Principal, type Role, roleIncludes } from "./principal.ts";

const levels = ["read", "write", "owner"] as const satisfies readonly GrantLevel[];

/** Whether a right is worth at least `needed`: each right includes those below it. */
export function rightIncludes(held: GrantLevel, needed: GrantLevel): boolean {
  return levels.indexOf(held) >= levels.indexOf(needed);
}

/** What somebody has on a collection, and by which rule. */
export type Right = {
  readonly level: GrantLevel;
  readonly rule: "grant" | "key_grant" | "owners_grant";
};

/**
 * The principal's rights, all of them or those on one collection: an admin owns everything; everybody else has what grants
 * give, a key also what its owner was given, unless it is limited. What a limited key was given at its making is worth at
 * most what its owner has now.
 */
export async function rightsOf(
  database: Database,
  principal: Principal,
  collection?: string,
): Promise<"all" | ReadonlyMap<string, Right>> {
  if (roleIncludes(principal.role, "admin")) return "all";
  const held = await grantsOf(database, principal, collection);
  const rights = new Map<string, Right>();
  for (const { principal_id: by, collection_id: id, level, delegated } of held) {
    if (delegated === 1) continue;
    const rule =
      by !== principal.id ? "owners_grant" : principal.kind === "key" ? "key_grant" : "grant";
    add(rights, id, { level, rule });
  }
  if (principal.limited) await addDelegated(database, principal, held, rights);
  return rights;
}

export async function scopeOf(database: Database, principal: Principal): Promise<Scope> {
  const rights = await rightsOf(database, principal);
  if (rights === "all") return { principal: principal.owner, read: "all", write: "all" };
  const from = (least: GrantLevel) =>
    [...rights].flatMap(([id, { level }]) => (rightIncludes(level, least) ? [id] : []));
  return { principal: principal.owner, read: from("read"), write: from("write") };
}

type Held = { principal_id: string; collection_id: string; level: GrantLevel; delegated: number };

function grantsOf(
  database: Database,
  principal: Principal,
  collection: string | undefined,
): Promise<Held[]> {
  let query = database.read
    .selectFrom("grants")
    .select(["principal_id", "collection_id", "level", "delegated"])
    .where("principal_id", "in", [principal.id, principal.owner]);
  if (collection !== undefined) query = query.where("collection_id", "=", collection);
  return query.execute();
}

async function addDelegated(
  database: Database,
  key: Principal,
  held: readonly Held[],
  rights: Map<string, Right>,
): Promise<void> {
  const delegated = held.filter((grant) => grant.delegated === 1);
  if (delegated.length === 0) return;
  const { account } = key;
  // A limited key is no admin, whoever made it; what an admin gave it stands.
  const owners = (await isAdmin(database, account))
    ? "all"
    : await ownersGrants(database, account, delegated);
  for (const { collection_id: id, level } of delegated) {
    const most = owners === "all" ? "owner" : owners.get(id);
    if (most !== undefined)
      add(rights, id, { level: rightIncludes(most, level) ? level : most, rule: "key_grant" });
  }
}

async function ownersGrants(database: Database, owner: string, wanted: readonly Held[]) {
  const rows = await database.read
    .selectFrom("grants")
    .select(["collection_id", "level"])
    .where("principal_id", "=", owner)
    .where(
      database.words.idsIn(
        "collection_id",
        wanted.map((grant) => grant.collection_id),
      ),
    )
    .execute();
  return new Map(rows.map((row) => [row.collection_id, row.level]));
}

/** Whether somebody is an admin at the moment; the owner of the data directory always is. */
async function isAdmin(database: Database, account: string): Promise<boolean> {
  if (account === localPrincipal.id) return true;
  const user = await database.read
    .selectFrom("users")
    .select("role")
    .where("id", "=", account)
    .executeTakeFirst();
  return user !== undefined && roleIncludes(user.role as Role, "admin");
}

function add(rights: Map<string, Right>, collection: string, right: Right): void {
  const before = rights.get(collection);
  if (!before || !rightIncludes(before.level, right.level)) rights.set(collection, right);
}
