import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { freshFolder, openRooms, type Rooms } from "../../../test/fixtures/rooms/open-rooms.ts";
import { keyPrincipal } from "../../../test/fixtures/rooms/principals.ts";
import { localPrincipal, type Principal, roleIncludes, roles } from "./index.ts";
import { findUser, toPrincipal } from "./user.ts";

afterEach(() => vi.useRealTimers());

async function open(): Promise<Rooms> {
  const rooms = await openRooms(freshFolder(onTestFinished));
  onTestFinished(() => rooms.close());
  return rooms;
}

const principal = (role: Principal["role"], id = `key_${role}`): Principal => ({
  ...keyPrincipal(role, role),
  id,
  owner: id,
});

describe("keys", () => {
  it("are shown once, stored hashed, and let in", async () => {
    const { access, database } = await open();
    const made = await access.keys.create(localPrincipal, { name: "ci", role: "developer" });
    expect(made.key).toMatch(/^candor_[A-Za-z0-9_-]{43}$/);
    expect(made.key.startsWith(made.prefix)).toBe(true);
    const rows = JSON.stringify(await database.read.selectFrom("api_keys").selectAll().execute());
    expect(rows).not.toContain(made.key);
    expect(JSON.stringify(await access.keys.list(localPrincipal, { limit: 10 }))).not.toContain(
      made.key,
    );
    expect(await access.authenticate({ bearer: made.key })).toEqual({
      id: made.id,
      name: "ci",
      role: "developer",
      kind: "key",
      owner: "local",
      account: "local",
      limited: false,
      session: null,
    });
    const [listed] = await access.keys.list(localPrincipal, { limit: 10 });
    expect(listed?.lastUsedAt).not.toBeNull();
  });

  it("have at most their creator's role", async () => {
    const { access } = await open();
    for (const by of roles)
      for (const role of roles) {
        const made = access.keys.create(principal(by), { name: "k", role });
        if (roleIncludes(by, role)) expect((await made).role).toBe(role);
        else await expect(made).rejects.toMatchObject({ code: "permission_denied" });
      }
    expect((await access.keys.create(localPrincipal, { name: "k" })).role).toBe("api_user");
    expect((await access.keys.create(principal("read_only"), { name: "k" })).role).toBe(
      "read_only",
    );
  });

  it("end at their time and with their revocation at once", async () => {
    const { access } = await open();
    vi.useFakeTimers({ toFake: ["Date"] });
    const start = Date.now();
    const expiresAt = new Date(start + 60_000).toISOString();
    const made = await access.keys.create(localPrincipal, { name: "short", expiresAt });
    vi.setSystemTime(start + 59_999);
    expect(await access.authenticate({ bearer: made.key })).not.toBeNull();
    vi.setSystemTime(start + 60_000);
    await expect(access.authenticate({ bearer: made.key })).rejects.toMatchObject({
      code: "credential_invalid",
      status: 401,
    });
    for (const expired of [expiresAt, "2020-01-01T00:00:00Z", "not a time"])
      await expect(
        access.keys.create(localPrincipal, { name: "x", expiresAt: expired }),
      ).rejects.toMatchObject({ code: "input_invalid", errors: [{ pointer: "/expiresAt" }] });

    const other = await access.keys.create(localPrincipal, { name: "other" });
    expect(await access.authenticate({ bearer: other.key })).not.toBeNull();
    const first = await access.keys.revoke(localPrincipal, other.id);
    await expect(access.authenticate({ bearer: other.key })).rejects.toMatchObject({
      code: "credential_invalid",
    });
    vi.setSystemTime(start + 100_000);
    expect(await access.keys.revoke(localPrincipal, other.id)).toEqual(first);
  });

  it("stop with the key that made them", async () => {
    const { access } = await open();
    const maker = await access.keys.create(localPrincipal, { name: "maker" });
    const by = await access.keys.authenticate(maker.key);
    if (!by) throw new Error("the fresh key does not work");
    const made = await access.keys.create(by, { name: "made" });
    expect(await access.keys.authenticate(made.key)).toMatchObject({ id: made.id });
    await access.keys.revoke(localPrincipal, maker.id);
    expect(await access.keys.authenticate(made.key)).toBeNull();
  });

  it("are listed and revoked by their owner and by admins; for others they are not there", async () => {
    const { access } = await open();
    const anna = principal("developer", "key_anna");
    const bert = principal("developer", "key_bert");
    const made = await access.keys.create(anna, { name: "hers", role: "api_user" });
    expect(await access.keys.list(bert, { limit: 10 })).toEqual([]);
    expect(await access.keys.list(anna, { limit: 10 })).toHaveLength(1);
    expect(await access.keys.list(principal("admin"), { limit: 10 })).toHaveLength(1);
    const refused = await access.keys.revoke(bert, made.id).catch((thrown: unknown) => thrown);
    const missing = await access.keys.revoke(bert, "key_none").catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ code: "not_found", message: `There is no key "${made.id}".` });
    expect(missing).toMatchObject({ code: "not_found", message: 'There is no key "key_none".' });
    const superKey = await access.keys.create(localPrincipal, { name: "s", role: "superadmin" });
    await expect(access.keys.revoke(principal("admin"), superKey.id)).rejects.toMatchObject({
      code: "permission_denied",
    });
    await access.keys.revoke(anna, made.id);
  });

  it("refuse everything that is none", async () => {
    const { access } = await open();
    for (const bearer of [
      "",
      "candor_",
      access.localKey.slice(0, -1),
      `${access.localKey}x`,
      "' or 1=1 --",
    ])
      await expect(access.authenticate({ bearer })).rejects.toMatchObject({
        code: "credential_invalid",
      });
    expect(await access.authenticate({ bearer: access.localKey })).toBe(localPrincipal);
    expect(await access.authenticate({})).toBeNull();
  });

  it("go on letting readers in while the store takes no writes", async () => {
    const { access, home } = await open();
    const made = await access.keys.create(localPrincipal, { name: "k" });
    // Another program holds the file: the time of last use cannot be written, which is no reason to refuse a reader.
    const other = new DatabaseSync(join(home.home, "candor.sqlite"));
    other.exec("begin immediate");
    expect(await access.authenticate({ bearer: made.key })).toMatchObject({ id: made.id });
    const [listed] = await access.keys.list(localPrincipal, { limit: 1 });
    expect(listed?.lastUsedAt).toBeNull();
    other.exec("rollback");
    other.close();
    await access.authenticate({ bearer: made.key });
    const [again] = await access.keys.list(localPrincipal, { limit: 1 });
    expect(again?.lastUsedAt).not.toBeNull();
  });
});

describe("limited keys", () => {
  async function withUser(role: Principal["role"] = "developer") {
    const rooms = await open();
    const { access, database } = rooms;
    await access.users.create(localPrincipal, { name: "anna", role });
    const row = await findUser(database, "anna");
    if (!row) throw new TypeError("no user anna");
    const anna = toPrincipal(row, null);
    const give = (right: "read" | "write" | "owner", collection = "col_1") =>
      access.grants.set(localPrincipal, {
        collection,
        principal: "anna",
        right,
        onPrincipal: () => {},
      });
    const keyOf = async (wanted: Parameters<typeof access.keys.create>[1], by = anna) => {
      const { id, key } = await access.keys.create(by, wanted);
      const principal = await access.keys.principalOf(id);
      if (!principal) throw new TypeError("the key does not work");
      return { principal, secret: key };
    };
    return { ...rooms, anna, give, keyOf };
  }

  it("reach what they were given, as long and as far as their owner has it", async () => {
    const { access, give, keyOf, anna } = await withUser();
    await give("owner");
    await give("owner", "col_2");
    const { principal: key } = await keyOf({
      name: "k",
      grants: [{ collection: "col_1", right: "write" }],
    });
    expect(key).toMatchObject({ kind: "key", owner: key.id, limited: true, role: "api_user" });
    const reach = async () => {
      const { read, write } = await access.scopeOf(key);
      return { read, write, right: await access.rightOn(key, "col_1") };
    };
    expect(await reach()).toEqual({ read: ["col_1"], write: ["col_1"], right: "write" });
    expect(await access.rightOn(key, "col_2")).toBeNull();
    const other = { collection: "col_1", onPrincipal: () => {} };
    await access.grants.set(localPrincipal, { ...other, principal: "local", right: "owner" });
    await give("read");
    expect(await reach()).toEqual({ read: ["col_1"], write: [], right: "read" });
    await access.grants.remove(localPrincipal, { ...other, principal: anna.id });
    expect(await reach()).toEqual({ read: [], write: [], right: null });
    await give("write");
    expect(await reach()).toEqual({ read: ["col_1"], write: ["col_1"], right: "write" });
  });

  it("have at most the role api_user, whoever makes them, and make no keys", async () => {
    const { access, anna, keyOf } = await withUser("admin");
    for (const role of ["superadmin", "admin", "developer"] as const)
      await expect(
        access.keys.create(localPrincipal, { name: "k", role, grants: [] }),
      ).rejects.toMatchObject({ code: "input_invalid", errors: [{ pointer: "/role" }] });
    const { principal: key } = await keyOf({
      name: "k",
      grants: [{ collection: "col_1", right: "owner" }],
    });
    // What an admin gave it stands, and nothing else: it is no admin over collections.
    expect(await access.rightOn(anna, "col_2")).toBe("owner");
    expect(await access.scopeOf(key)).toEqual({
      principal: key.id,
      read: ["col_1"],
      write: ["col_1"],
    });
    expect(await access.rightOn(key, "col_2")).toBeNull();
    await expect(access.keys.create(key, { name: "more" })).rejects.toMatchObject({
      code: "permission_denied",
    });
    expect((await access.keys.list(key, { limit: 10 })).map(({ id }) => id)).toEqual([key.id]);
  });

  it("are told apart from keys that see what their owner was given", async () => {
    const { access, give, keyOf, anna } = await withUser();
    await give("write");
    const { principal: key } = await keyOf({ name: "k" });
    expect(key).toMatchObject({ owner: anna.id, limited: false });
    expect(await access.scopeOf(key)).toEqual({
      principal: anna.id,
      read: ["col_1"],
      write: ["col_1"],
    });
    const { principal: made } = await keyOf({ name: "made" }, key);
    expect(await access.scopeOf(made)).toEqual(await access.scopeOf(key));
    const { principal: ofLocal } = await keyOf({ name: "local's" }, localPrincipal);
    expect(await access.rightOn(ofLocal, "col_1")).toBeNull();
    await access.grants.set(localPrincipal, {
      collection: "col_1",
      principal: "local",
      right: "owner",
      onPrincipal: () => {},
    });
    expect(await access.rightOn(ofLocal, "col_1")).toBe("owner");
    expect(await access.rightOn(ofLocal, "col_2")).toBeNull();
  });
});
