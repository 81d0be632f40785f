import fc from "fast-check";
import { expect, it, onTestFinished } from "vitest";
import { freshFolder, openRooms } from "../../../test/fixtures/rooms/open-rooms.ts";
import type { GrantLevel } from "#base/database/index.ts";
import { localPrincipal, type Principal, type Role, roleIncludes, roles } from "./index.ts";
import { rightIncludes, rightsOf, scopeOf } from "./rights.ts";
import { toPrincipal } from "./user.ts";

const levels = ["read", "write", "owner"] as const;
const collections = ["col_0", "col_1", "col_2"];

type Someone =
  | { id: string; kind: "user"; role: Role; disabled: boolean }
  | { id: string; kind: "key"; role: Role; owner: string; limited: boolean; revoked: boolean };

type Given = { principal: string; collection: string; level: GrantLevel; delegated: boolean };

type People = { readonly people: readonly Someone[]; readonly grants: readonly Given[] };

const seldom = fc.integer({ min: 0, max: 5 }).map((one) => one === 0);

/** Users, keys of users and of keys, and what they were given. */
const anyPeople: fc.Arbitrary<People> = fc
  .record({
    users: fc.array(fc.record({ role: fc.constantFrom(...roles), disabled: seldom }), {
      minLength: 1,
      maxLength: 3,
    }),
    keys: fc.array(
      fc.record({
        role: fc.constantFrom(...roles),
        owner: fc.nat(20),
        limited: fc.boolean(),
        revoked: seldom,
      }),
      { maxLength: 6 },
    ),
    grants: fc.array(
      fc.record({
        principal: fc.nat(20),
        collection: fc.constantFrom(...collections),
        level: fc.constantFrom(...levels),
        delegated: fc.boolean(),
      }),
      { maxLength: 14 },
    ),
  })
  .map(({ users, keys, grants }) => {
    const people: Someone[] = users.map((user, place) => ({
      ...user,
      id: `usr_${place}`,
      kind: "user",
    }));
    for (const [place, key] of keys.entries()) {
      // A limited key makes no keys, and has no role that sees more than collections.
      const makers = [
        "local",
        ...people.flatMap((one) => (one.kind === "key" && one.limited ? [] : [one.id])),
      ];
      people.push({
        ...key,
        kind: "key",
        id: `key_${place}`,
        owner: makers[key.owner % makers.length] ?? "local",
        role: key.limited ? lowest(key.role, "api_user") : key.role,
      });
    }
    const ids = ["local", ...people.map(({ id }) => id)];
    return {
      people,
      grants: grants.map((grant) => {
        const principal = ids[grant.principal % ids.length] ?? "local";
        const one = people.find(({ id }) => id === principal);
        const limited = one?.kind === "key" && one.limited;
        return { ...grant, principal, delegated: grant.delegated && limited };
      }),
    };
  });

/** The rules once more, as plainly as they can be said. */
function model({ people, grants }: People) {
  const find = (id: string) => people.find((one) => one.id === id);
  const given = (id: string, collection: string, delegated: boolean) =>
    grants.findLast(
      (grant) =>
        grant.principal === id && grant.collection === collection && grant.delegated === delegated,
    )?.level ?? null;
  const stands = (id: string): boolean => {
    const one = find(id);
    if (!one) return id === "local";
    return one.kind === "user" ? !one.disabled : !one.revoked && stands(one.owner);
  };
  const role = (id: string): Role => {
    const one = find(id);
    if (!one) return "superadmin";
    return one.kind === "user" ? one.role : lowest(one.role, role(one.owner));
  };
  const human = (id: string): string => {
    const one = find(id);
    return one?.kind === "key" ? human(one.owner) : id;
  };
  const right = (id: string, collection: string): GrantLevel | null => {
    if (roleIncludes(role(id), "admin")) return "owner";
    const one = find(id);
    const own = given(id, collection, false);
    if (one?.kind !== "key") return own;
    const owner = human(id);
    const owners = roleIncludes(role(owner), "admin") ? "owner" : given(owner, collection, false);
    if (!one.limited) return highest(own, given(owner, collection, false));
    return highest(own, least(given(id, collection, true), owners));
  };
  return { stands, role, right };
}

function lowest(one: Role, other: Role): Role {
  return roles.indexOf(one) > roles.indexOf(other) ? one : other;
}
const rank = (level: GrantLevel | null) => (level === null ? -1 : levels.indexOf(level));
const highest = (one: GrantLevel | null, other: GrantLevel | null) =>
  rank(one) > rank(other) ? one : other;
const least = (one: GrantLevel | null, other: GrantLevel | null) =>
  rank(one) < rank(other) ? one : other;

it("a right includes itself and those below", () => {
  for (const [held, one] of levels.entries())
    for (const [needed, other] of levels.entries())
      expect(rightIncludes(one, other)).toBe(held >= needed);
});

it("who may what is the same by every way to ask, and what the rules say", async () => {
  const rooms = await openRooms(freshFolder(onTestFinished));
  onTestFinished(() => rooms.close());
  const { access, database } = rooms;
  const store = ({ people, grants }: People) =>
    database.write(async ({ tables }) => {
      for (const table of ["users", "api_keys", "grants"] as const)
        await tables.deleteFrom(table).execute();
      for (const one of people) {
        const row = { id: one.id, name: one.id, role: one.role, created_at: 1 };
        if (one.kind === "user")
          await tables
            .insertInto("users")
            .values({
              ...row,
              disabled: one.disabled ? 1 : 0,
              password_hash: null,
              updated_at: 1,
              last_login_at: null,
            })
            .execute();
        else
          await tables
            .insertInto("api_keys")
            .values({
              ...row,
              owner: one.owner,
              hash: one.id,
              prefix: "",
              limited: one.limited ? 1 : 0,
              revoked_at: one.revoked ? 1 : null,
              expires_at: null,
              last_used_at: null,
            })
            .execute();
      }
      for (const { principal, collection, level, delegated } of grants)
        await tables
          .insertInto("grants")
          .orReplace()
          .values({
            principal_id: principal,
            collection_id: collection,
            level,
            delegated: delegated ? 1 : 0,
            created_at: 1,
          })
          .execute();
    });
  const principalOf = async (one: Someone): Promise<Principal | null> => {
    if (one.kind === "key") return access.keys.principalOf(one.id);
    const row = await database.read
      .selectFrom("users")
      .selectAll()
      .where("id", "=", one.id)
      .executeTakeFirstOrThrow();
    return row.disabled === 1 ? null : toPrincipal(row, null);
  };

  await fc.assert(
    fc.asyncProperty(anyPeople, async ({ people, grants }) => {
      // One row a principal and collection: the last one given.
      const known = new Map(grants.map((one) => [`${one.principal} ${one.collection}`, one]));
      const world = { people, grants: [...known.values()] };
      await store(world);
      const rules = model(world);
      for (const one of people) {
        const principal = await principalOf(one);
        expect(principal !== null).toBe(rules.stands(one.id));
        const expected = collections.map((collection) =>
          principal ? rules.right(one.id, collection) : null,
        );
        if (principal) {
          expect(principal.role).toBe(rules.role(one.id));
          const rights = await rightsOf(database, principal);
          const scope = await scopeOf(database, principal);
          for (const [place, collection] of collections.entries()) {
            const right = expected[place] ?? null;
            const held = rights === "all" ? "owner" : (rights.get(collection)?.level ?? null);
            expect(held).toBe(right);
            expect(await access.rightOn(principal, collection)).toBe(right);
            expect(scope.read === "all" || scope.read.includes(collection)).toBe(right !== null);
            expect(scope.write === "all" || scope.write.includes(collection)).toBe(rank(right) > 0);
          }
        }
        for (const [place, collection] of collections.entries())
          for (const needed of levels) {
            const { allowed } = await access.explain(one.id, {
              permission: { role: "read_only", grant: { on: "collections", right: needed } },
              target: { type: "collection", id: collection, name: collection },
            });
            expect(allowed).toBe(rank(expected[place] ?? null) >= rank(needed));
          }
      }
    }),
    { numRuns: 60 },
  );
  expect(await scopeOf(database, localPrincipal)).toMatchObject({ read: "all", write: "all" });
});
