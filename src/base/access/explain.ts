import type { Database } from "#base/database/index.ts";
import { NotFoundError } from "#base/errors/index.ts";
import type { Permission } from "./access.ts";
import type { ApiKeys } from "./api-keys.ts";
import { localPrincipal, type Principal, roleIncludes } from "./principal.ts";
import { type Right, rightIncludes, rightsOf } from "./rights.ts";
import { findUser, toPrincipal } from "./user.ts";

/** One rule that was looked at, in order. */
export type Check = {
  rule: "public" | "stands" | "role" | "own" | "grant";
  state: "passed" | "failed" | "not_asked";
  detail: string;
};

/** Whether somebody may do something, and the rule that decides. */
export type Explanation = {
  allowed: boolean;
  /** The rule that refuses; where all pass, the last one that was asked. */
  rule: Check["rule"];
  checks: Check[];
};

/** What an operation would act on: a collection, or a thing that belongs to somebody. */
export type Target =
  | { readonly type: "collection"; readonly id: string; readonly name: string }
  | { readonly type: "owned"; readonly id: string; readonly owner: string };

type Asked = { readonly permission: Permission; readonly target: Target | null };

/** Walks the rules that `admit` and `demand` apply, and says what each of them finds. */
export async function explain(
  { database, keys }: { database: Database; keys: ApiKeys },
  named: string,
  { permission, target }: Asked,
): Promise<Explanation> {
  if (permission === "public")
    return conclude([{ rule: "public", state: "passed", detail: "Everybody may call it." }]);
  const found = await findStanding(database, keys, named);
  if ("reason" in found)
    return conclude([{ rule: "stands", state: "failed", detail: found.reason }]);
  const { principal } = found;
  const checks: Check[] = [
    { rule: "stands", state: "passed", detail: `${principal.id} is enabled and not expired.` },
    checkRole(principal, permission.role),
    checkOwn(principal, permission.own?.all ?? null, target),
  ];
  const { grant } = permission;
  checks.push(
    grant
      ? await checkGrant(database, principal, grant.right, target)
      : { rule: "grant", state: "not_asked", detail: "No right on a collection is needed." },
  );
  return conclude(checks);
}

function conclude(checks: Check[]): Explanation {
  const failed = checks.find(({ state }) => state === "failed");
  const passed = checks.findLast(({ state }) => state === "passed");
  return { allowed: !failed, rule: (failed ?? passed)?.rule ?? "public", checks };
}

/** Who acts as this user (by name or id), key or `local` at the moment; null: nobody does. */
export async function principalOf(
  database: Database,
  keys: ApiKeys,
  named: string,
): Promise<Principal | null> {
  if (named === localPrincipal.id) return localPrincipal;
  const user = await findUser(database, named);
  if (user) return user.disabled === 1 ? null : toPrincipal(user, null);
  return keys.principalOf(named);
}

/** The principal as it is now, or why it may do nothing. Raises NotFoundError for one that never was. */
async function findStanding(
  database: Database,
  keys: ApiKeys,
  named: string,
): Promise<{ principal: Principal } | { reason: string }> {
  const principal = await principalOf(database, keys, named);
  if (principal) return { principal };
  const user = await findUser(database, named);
  if (user) return { reason: `User ${user.name} is disabled.` };
  const key = await database.read
    .selectFrom("api_keys")
    .select("id")
    .where("id", "=", named)
    .executeTakeFirst();
  if (!key) throw new NotFoundError(`There is no user or key "${named}".`);
  return {
    reason: `Key ${named} is revoked or expired, or whom it works for may not sign in any more.`,
  };
}

function checkRole(principal: Principal, needed: Principal["role"]): Check {
  const passed = roleIncludes(principal.role, needed);
  return {
    rule: "role",
    state: passed ? "passed" : "failed",
    detail: `The role ${needed} or above is needed; ${principal.id} is ${principal.role}.`,
  };
}

function checkOwn(
  principal: Principal,
  all: Principal["role"] | null,
  target: Target | null,
): Check {
  if (all === null)
    return { rule: "own", state: "not_asked", detail: "It is not about one's own things." };
  if (roleIncludes(principal.role, all))
    return { rule: "own", state: "passed", detail: `From the role ${all} on, everybody's things.` };
  if (target?.type !== "owned")
    return { rule: "own", state: "passed", detail: "Only one's own things are found." };
  const mine = target.owner === principal.owner;
  return {
    rule: "own",
    state: mine ? "passed" : "failed",
    detail: `${target.id} belongs to ${target.owner}; ${principal.id} sees what belongs to ${principal.owner}.`,
  };
}

async function checkGrant(
  database: Database,
  principal: Principal,
  needed: Right["level"],
  target: Target | null,
): Promise<Check> {
  if (target?.type !== "collection")
    return {
      rule: "grant",
      state: "not_asked",
      detail: `The right ${needed} is needed on the collection; name one as target.`,
    };
  const rights = await rightsOf(database, principal, target.id);
  if (rights === "all")
    return {
      rule: "grant",
      state: "passed",
      detail: `The role ${principal.role} owns every collection.`,
    };
  const right = rights.get(target.id);
  const passed = right !== undefined && rightIncludes(right.level, needed);
  const has = right ? `has ${right.level} (${ruleText[right.rule]})` : "has none";
  return {
    rule: "grant",
    state: passed ? "passed" : "failed",
    detail: `The right ${needed} on collection ${target.name} is needed; ${principal.id} ${has}.`,
  };
}

const ruleText: Record<Right["rule"], string> = {
  grant: "by a grant",
  key_grant: "by a grant to the key",
  owners_grant: "by a grant to whom the key works for",
};
