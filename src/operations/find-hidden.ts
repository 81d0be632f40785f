import { type Principal, roleIncludes } from "#base/access/index.ts";
import type { AuditRecord } from "#base/ledger/index.ts";
import type { Course } from "./course.ts";
import type { App } from "./define-operation.ts";

type Thing = NonNullable<AuditRecord["target"]>;

/** Whether what an input names is there and its caller may not see it; null: there is no such thing, or the caller may. */
type Finder = (app: App, principal: Principal, named: string) => Promise<Thing | null>;

/**
 * What the caller of a course was told is not there, although it is: an attempt of somebody without a right. Null where the
 * thing is really not there.
 */
export async function findHidden({ app, caller, noted }: Course): Promise<Thing | null> {
  const { principal } = caller;
  // From an admin nothing is hidden: what they do not find is not there.
  if (!principal || roleIncludes(principal.role, "admin")) return null;
  for (const [field, find] of Object.entries(finders))
    for (const named of namesIn(noted.input, field)) {
      const thing = await find(app, principal, named);
      if (thing) return thing;
    }
  return null;
}

/** The fields by which inputs name things that belong to somebody. */
const finders: Readonly<Record<string, Finder>> = {
  collection: hiddenCollection,
  collections: hiddenCollection,
  grants: hiddenCollection,
  chunk: async (app, principal, named) => {
    const row = await app.database.unscoped
      .selectFrom("chunks")
      .select("collection_id")
      .where("id", "=", named)
      .executeTakeFirst();
    const hidden = row && (await app.access.rightOn(principal, row.collection_id)) === null;
    return hidden ? { type: "chunk", id: named } : null;
  },
  trash: async (app, principal, named) => {
    const row = await app.database.read
      .selectFrom("trash_entries")
      .select(["kind", "collection_id"])
      .where("id", "=", named)
      .executeTakeFirst();
    const right = row && (await app.access.rightOn(principal, row.collection_id));
    const may = right === "owner" || (right === "write" && row?.kind === "document");
    return row && !may ? { type: "trash", id: named } : null;
  },
  job: async (app, principal, named) => {
    if (roleIncludes(principal.role, "developer")) return null;
    const row = await app.database.unscoped
      .selectFrom("jobs")
      .select("owner")
      .where("id", "=", named)
      .executeTakeFirst();
    return row && row.owner !== principal.owner ? { type: "job", id: named } : null;
  },
  key: async (app, principal, named) => {
    const row = await app.database.read
      .selectFrom("api_keys")
      .select("owner")
      .where("id", "=", named)
      .executeTakeFirst();
    const mine = row && [principal.id, principal.owner].includes(row.owner);
    return row && !mine ? { type: "key", id: named } : null;
  },
  user: async (app, principal, named) => {
    const row = await app.database.read
      .selectFrom("users")
      .select("id")
      .where((is) => is.or([is("id", "=", named), is("name", "=", named)]))
      .executeTakeFirst();
    return row && row.id !== principal.owner ? { type: "user", id: row.id } : null;
  },
};

async function hiddenCollection(
  app: App,
  principal: Principal,
  named: string,
): Promise<Thing | null> {
  const row = await app.database.unscoped
    .selectFrom("collections")
    .select("id")
    .where((is) => is.or([is("id", "=", named), is("name", "=", named)]))
    .where("trash_id", "is", null)
    .executeTakeFirst();
  if (!row || (await app.access.rightOn(principal, row.id)) !== null) return null;
  return { type: "collection", id: row.id };
}

/** The names in a field: a text, a list of texts, or a list of objects with a `collection`. */
function namesIn(input: unknown, field: string): string[] {
  if (typeof input !== "object" || input === null || !Object.hasOwn(input, field)) return [];
  const value = (input as Record<string, unknown>)[field];
  const named = (part: unknown) =>
    typeof part === "object" && part !== null && "collection" in part ? part.collection : part;
  return [value]
    .flat()
    .map(named)
    .filter((name) => typeof name === "string");
}
