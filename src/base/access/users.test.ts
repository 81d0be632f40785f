import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { freshFolder, openRooms, type Rooms } from "../../../test/fixtures/rooms/open-rooms.ts";
import { localPrincipal, type Principal, type Role, roleIncludes, roles } from "./index.ts";
import { createPasswords } from "./passwords.ts";
import type { UserChange } from "./update-user.ts";
import { findUser, toPrincipal } from "./user.ts";

afterEach(() => vi.useRealTimers());

const password = "correct horse, battery";
const nothing = () => {};

async function open() {
  const rooms = await openRooms(freshFolder(onTestFinished));
  onTestFinished(() => rooms.close());
  const { access, database } = rooms;
  /** A user of this role; without a password hashing costs nothing. */
  const add = async (name: string, role: Role, withPassword = false): Promise<Principal> => {
    await access.users.create(localPrincipal, {
      name,
      role,
      ...(withPassword ? { password } : {}),
    });
    return principalOf(rooms, name);
  };
  const rows = () => database.read.selectFrom("users").selectAll().orderBy("id").execute();
  const update = (by: Principal, named: string, change: UserChange) =>
    access.users.update(by, named, change, nothing);
  const remove = (by: Principal, named: string, dryRun = false) =>
    access.users.delete(by, named, dryRun, nothing);
  return { ...rooms, add, rows, update, remove };
}

async function principalOf({ database }: Pick<Rooms, "database">, name: string) {
  const row = await findUser(database, name);
  if (!row) throw new TypeError(`no user ${name}`);
  return toPrincipal(row, null);
}

const refused = { code: "permission_denied", status: 403 };

describe("a new user", () => {
  it("has the least role and no password, and nobody makes one of a higher role than theirs", async () => {
    const { access, add } = await open();
    const plain = await access.users.create(localPrincipal, { name: "plain" });
    expect(plain).toMatchObject({ role: "read_only", disabled: false, password: false });
    expect(plain.id).toMatch(/^usr_/);
    for (const by of roles) {
      const maker = await add(`maker-${by}`, by);
      for (const role of roles) {
        const made = access.users.create(maker, { name: `${by}-${role}`, role });
        if (roleIncludes(by, role)) expect((await made).role).toBe(role);
        else await expect(made).rejects.toMatchObject(refused);
      }
    }
  });

  it("has a name of its own, as everybody who is renamed", async () => {
    const { access, add, update, rows } = await open();
    await add("anna", "read_only");
    await add("bert", "read_only");
    const taken = { code: "already_exists", status: 409, errors: [{ pointer: "/name" }] };
    await expect(access.users.create(localPrincipal, { name: "anna" })).rejects.toMatchObject(
      taken,
    );
    await expect(update(localPrincipal, "bert", { name: "anna" })).rejects.toMatchObject(taken);
    expect((await rows()).map(({ name }) => name).toSorted()).toEqual(["anna", "bert"]);
    expect((await update(localPrincipal, "bert", { name: "carl" })).name).toBe("carl");
    await expect(update(localPrincipal, "bert", { disabled: true })).rejects.toMatchObject({
      code: "not_found",
    });
  });
});

describe("a password", () => {
  const passwords = createPasswords(12);
  const check = (given: string, name = "somebody") => passwords.check(given, name);

  it.each([
    ["eleven char", "needs at least 12 characters"],
    ["twelve chars", null],
    ["onlyletters12", "needs a character that is neither letter nor digit"],
    ["nurbuchstabenäöü", "needs a character that is neither letter nor digit"],
    ["बिनाविशेषअक्षर", "needs a character that is neither letter nor digit"],
    [`${"a".repeat(127)}!`, null],
    [`${"a".repeat(128)}!`, "has at most 128 characters"],
    ["🐎".repeat(12), null],
    ["🐎".repeat(11), "needs at least 12 characters"],
    ["🐎".repeat(128), null],
    ["🐎".repeat(129), "has at most 128 characters"],
    ["it is Somebody!", "may not contain the user's name"],
    ["half a character \ud83d!", "holds half a character (a lone surrogate)"],
    ["with a \u0000 in it", null],
  ])("%j: %s", (given, fault) => {
    if (fault === null) expect(check(given)).toBeUndefined();
    else
      expect(() => check(given)).toThrow(
        expect.objectContaining({
          code: "input_invalid",
          message: `The password ${fault}.`,
          errors: [{ pointer: "/password", message: fault }],
        }),
      );
  });

  it("may contain a name that stands in many words", () => {
    expect(check("a plain good one", "a")).toBeUndefined();
  });

  it("is told from every other, and kept as Argon2id of 64 MiB", async () => {
    const hash = await passwords.hash("with a \u0000 in it");
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=65536,t=3,p=4\$/);
    expect(await passwords.verify("with a \u0000 in it", hash)).toBe(true);
    expect(await passwords.verify("with a ", hash)).toBe(false);
    expect(await passwords.verify("with a \u0000 in i\ud83d", hash)).toBe(false);
    const long = await passwords.hash("🐎".repeat(128));
    expect(await passwords.verify("🐎".repeat(128), long)).toBe(true);
    expect(await passwords.verify("🐎".repeat(129), long)).toBe(false);
  });

  it("of nobody is looked for as long as any other", async () => {
    // The same cost stands in both hashes, so the same work is done.
    const { readFileSync } = await import("node:fs");
    const source = readFileSync(new URL("passwords.ts", import.meta.url), "utf8");
    const [nobodys] = /\$argon2id\$[^"]+/.exec(source) ?? [];
    const costs = (hash: string | undefined) => hash?.split("$").slice(1, 4);
    expect(costs(nobodys)).toEqual(costs(await passwords.hash(password)));
    expect(await passwords.verify("", null)).toBe(false);
    expect(await passwords.verify("nobody has this password", null)).toBe(false);
  });
});

describe("who may change whom", () => {
  it("nobody touches a user of a role above their own", async () => {
    const { access, add, update, remove, rows } = await open();
    await add("top", "superadmin");
    await add("other-top", "superadmin");
    const admin = await add("admin", "admin");
    const key = await access.keys.create(localPrincipal, { name: "k", role: "admin" });
    const keyAdmin = await access.keys.principalOf(key.id);
    if (!keyAdmin) throw new TypeError("the key does not work");
    const before = await rows();
    for (const by of [admin, keyAdmin]) {
      const changes: UserChange[] = [
        { name: "mine" },
        { role: "read_only" },
        { disabled: true },
        { password },
      ];
      for (const change of changes)
        await expect(update(by, "top", change)).rejects.toMatchObject(refused);
      for (const dryRun of [true, false])
        await expect(remove(by, "top", dryRun)).rejects.toMatchObject(refused);
    }
    await expect(update(admin, "admin", { role: "superadmin" })).rejects.toMatchObject(refused);
    expect(await rows()).toEqual(before);
  });

  it("nobody but admins sees others, and everybody changes nothing but their own password", async () => {
    const { add, update, rows } = await open();
    await add("anna", "read_only", true);
    const before = await rows();
    for (const role of ["developer", "api_user", "read_only"] as const) {
      const by = await add(`by-${role.replace("_", "-")}`, role);
      const other = await update(by, "anna", { password: "x" }).catch((thrown: unknown) => thrown);
      expect(other).toMatchObject({ code: "not_found", message: 'There is no user "anna".' });
      for (const change of [
        { name: "new" },
        { role: "read_only" },
        { disabled: false },
        { password, currentPassword: password, role: "superadmin" },
      ] satisfies UserChange[])
        await expect(update(by, by.id, change)).rejects.toMatchObject(refused);
    }
    expect((await rows()).filter(({ name }) => name === "anna")).toEqual(before);
  });

  it("nobody disables, demotes or deletes themselves, with a key neither", async () => {
    const { access, add, update, remove } = await open();
    await add("top", "superadmin");
    const admin = await add("admin", "admin");
    const { id } = await access.keys.create(admin, { name: "k", role: "admin" });
    const key = await access.keys.principalOf(id);
    if (!key) throw new TypeError("the key does not work");
    for (const by of [admin, key]) {
      for (const change of [{ disabled: true }, { role: "developer" }] satisfies UserChange[])
        await expect(update(by, "admin", change)).rejects.toMatchObject(refused);
      for (const dryRun of [true, false])
        await expect(remove(by, "admin", dryRun)).rejects.toMatchObject(refused);
      await expect(update(by, "admin", { password })).rejects.toMatchObject({
        code: "credential_invalid",
      });
    }
    expect((await update(admin, "admin", { name: "boss" })).name).toBe("boss");
  });

  it("a change that names nothing is refused", async () => {
    const { add, update } = await open();
    await add("anna", "read_only");
    await expect(update(localPrincipal, "anna", {})).rejects.toMatchObject({
      code: "input_invalid",
    });
  });

  it("a right to change somebody counts at the moment of the change", async () => {
    const { add, update, remove, access } = await open();
    const admin = await add("admin", "admin");
    await add("rising", "developer", true);
    // While the new password is hashed, its user becomes somebody whom an admin may not touch.
    const taking = update(admin, "rising", { password: "something else, really" });
    const rising = update(localPrincipal, "rising", { role: "superadmin" });
    expect((await rising).role).toBe("superadmin");
    await expect(taking).rejects.toMatchObject({ code: "conflict", status: 409 });
    const given = { name: "rising", password, as: "tokens" } as const;
    expect((await access.logins.withPassword(given, nothing)).principal.name).toBe("rising");
    await expect(remove(admin, "rising")).rejects.toMatchObject(refused);
  });
});

describe("the last superadmin", () => {
  const last = { code: "last_owner", status: 409 };

  it("is not demoted, disabled or deleted, in a dry run neither", async () => {
    const { add, update, remove, rows } = await open();
    await add("top", "superadmin");
    await add("asleep", "superadmin");
    await update(localPrincipal, "asleep", { disabled: true });
    const before = await rows();
    await expect(update(localPrincipal, "top", { role: "admin" })).rejects.toMatchObject(last);
    await expect(update(localPrincipal, "top", { disabled: true })).rejects.toMatchObject(last);
    await expect(remove(localPrincipal, "top")).rejects.toMatchObject(last);
    await expect(remove(localPrincipal, "top", true)).rejects.toMatchObject(last);
    expect(await rows()).toEqual(before);
    expect((await update(localPrincipal, "top", { role: "superadmin" })).role).toBe("superadmin");
    await remove(localPrincipal, "asleep");
  });

  it.each(["demote", "disable", "delete"])("%s: of two at once one stays", async (how) => {
    const { add, update, remove, rows } = await open();
    const people = [await add("one", "superadmin"), await add("two", "superadmin")];
    const away = (named: string, by: Principal): Promise<unknown> => {
      if (how === "delete") return remove(by, named);
      return update(by, named, how === "demote" ? { role: "admin" } : { disabled: true });
    };
    const [one, two] = people;
    if (!one || !two) throw new TypeError("nobody was added");
    const outcomes = await Promise.allSettled([away("two", one), away("one", two)]);
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    const standing = (await rows()).filter((row) => row.role === "superadmin" && !row.disabled);
    expect(standing).toHaveLength(1);
  });
});

describe("at the next request", () => {
  /** A token, a cookie and two keys of a user, and one key that a key of theirs made. */
  async function everyWayIn(of: Awaited<ReturnType<typeof open>>, name: string) {
    const { access, add } = of;
    const user = await add(name, "developer", true);
    const login = (as: "tokens" | "cookie") =>
      access.logins.withPassword({ name, password, as }, nothing);
    const { accessToken } = await login("tokens");
    const { cookie } = await login("cookie");
    const key = await access.keys.create(user, { name: "key", role: "developer" });
    const principal = await access.keys.principalOf(key.id);
    if (!principal || accessToken === null || cookie === null) throw new TypeError("no way in");
    const made = await access.keys.create(principal, { name: "made", role: "developer" });
    const limited = await access.keys.create(user, { name: "limited", grants: [] });
    const ways = [
      { bearer: accessToken },
      { session: cookie.secret },
      { bearer: key.key },
      { bearer: made.key },
      { bearer: limited.key },
    ];
    return { user, who: () => Promise.allSettled(ways.map((way) => access.authenticate(way))) };
  }
  const gone = { status: "rejected", reason: expect.objectContaining({ status: 401 }) };

  it("a role is what it has become", async () => {
    const of = await open();
    const { who } = await everyWayIn(of, "anna");
    const rolesNow = async () =>
      (await who()).map((way) => (way.status === "fulfilled" ? way.value?.role : null));
    const full = ["developer", "developer", "developer", "developer", "api_user"];
    expect(await rolesNow()).toEqual(full);
    await of.update(localPrincipal, "anna", { role: "read_only" });
    expect(await rolesNow()).toEqual(full.map(() => "read_only"));
    await of.update(localPrincipal, "anna", { role: "superadmin" });
    expect(await rolesNow()).toEqual(["superadmin", "superadmin", ...full.slice(2)]);
  });

  it("nothing of a disabled user works; enabled again, the keys do", async () => {
    const of = await open();
    const { who } = await everyWayIn(of, "anna");
    await of.update(localPrincipal, "anna", { disabled: true });
    expect(await who()).toEqual([gone, gone, gone, gone, gone]);
    await of.update(localPrincipal, "anna", { disabled: false });
    const states = (await who()).map(({ status }) => status);
    expect(states).toEqual(["rejected", "rejected", "fulfilled", "fulfilled", "fulfilled"]);
  });

  it("nothing of a deleted user works, and the deletion says what went", async () => {
    const of = await open();
    const { user, who } = await everyWayIn(of, "anna");
    const { id: other } = await of.add("bert", "developer");
    const grants = [
      { principal_id: user.id, collection_id: "col_1", level: "owner" },
      { principal_id: user.id, collection_id: "col_2", level: "owner" },
      { principal_id: other, collection_id: "col_2", level: "owner" },
      { principal_id: user.id, collection_id: "col_3", level: "read" },
    ] as const;
    await of.database.write(({ tables }) =>
      tables
        .insertInto("grants")
        .values(grants.map((grant) => ({ ...grant, created_at: 1 })))
        .execute(),
    );
    const counts = {
      deleted: { users: 1, grants: 3, keys: 2 },
      dependents: [{ type: "collections without another owner", count: 1 }],
      undo: null,
    };
    expect(await of.remove(localPrincipal, "anna", true)).toEqual({ ...counts, dryRun: true });
    expect((await who()).map(({ status }) => status)).toEqual(Array(5).fill("fulfilled"));
    expect(await of.remove(localPrincipal, "anna")).toEqual({ ...counts, dryRun: false });
    expect(await who()).toEqual([gone, gone, gone, gone, gone]);
    const left = await of.database.read.selectFrom("grants").select("principal_id").execute();
    expect(left).toEqual([{ principal_id: other }]);
    for (const table of ["logins", "sessions", "refresh_tokens"] as const)
      expect(await of.database.read.selectFrom(table).selectAll().execute(), table).toEqual([]);
    // Whoever takes the name later is somebody else.
    await of.add("anna", "superadmin");
    expect(await who()).toEqual([gone, gone, gone, gone, gone]);
  });
});

describe("one's own password", () => {
  it("is changed by who knows the old one, ends every sign-in, and is guessed no more often than at the login", async () => {
    const { access, add, update } = await open();
    const anna = await add("anna", "api_user", true);
    const signedIn = await access.logins.withPassword(
      { name: "anna", password, as: "tokens" },
      nothing,
    );
    const next = "another horse, staple";
    for (const currentPassword of [undefined, "", "wrong horse, battery"])
      await expect(update(anna, "anna", { password: next, currentPassword })).rejects.toMatchObject(
        { code: "credential_invalid" },
      );
    expect(await update(anna, "anna", { password: next, currentPassword: password })).toMatchObject(
      { name: "anna" },
    );
    await expect(access.authenticate({ bearer: signedIn.accessToken ?? "" })).rejects.toMatchObject(
      { code: "credential_invalid" },
    );
    const guess = () =>
      update(anna, "anna", { password, currentPassword: "wrong" }).catch(
        (thrown: { code: string }) => thrown.code,
      );
    const guesses = await Promise.all(Array.from({ length: 7 }, guess));
    expect(guesses.filter((code) => code === "credential_invalid")).toHaveLength(5);
    expect(guesses.filter((code) => code === "login_locked")).toHaveLength(2);
    const login = { name: "anna", password: next, as: "tokens" } as const;
    await expect(access.logins.withPassword(login, nothing)).rejects.toMatchObject({
      code: "login_locked",
    });
  });

  it("given anew by an admin unlocks the name", async () => {
    const { access, add, update } = await open();
    await add("anna", "api_user", true);
    const login = (given: string) =>
      access.logins.withPassword({ name: "anna", password: given, as: "tokens" }, nothing);
    await Promise.allSettled(Array.from({ length: 6 }, () => login("wrong")));
    await expect(login(password)).rejects.toMatchObject({ code: "login_locked" });
    const next = "another horse, staple";
    await update(localPrincipal, "anna", { password: next });
    expect((await login(next)).principal.name).toBe("anna");
  });
});
