import { describe, expect, it, onTestFinished } from "vitest";
import { freshFolder, openRooms, type Rooms } from "../../../test/fixtures/rooms/open-rooms.ts";
import { keyPrincipal } from "../../../test/fixtures/rooms/principals.ts";
import { localPrincipal, type Principal } from "./index.ts";
import { toPrincipal } from "./user.ts";

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

describe("rights by grants", () => {
  const collection = { id: "col_1", called: "notes" };
  const grant = (rooms: Rooms, level: "read" | "write" | "owner") =>
    rooms.database.write(({ tables }) =>
      tables
        .insertInto("grants")
        .orReplace()
        .values({ principal_id: "key_anna", collection_id: "col_1", level, created_at: 1 })
        .execute(),
    );

  it("give exactly their level and those below", async () => {
    const rooms = await open();
    const anna = principal("api_user", "key_anna");
    const levels = ["read", "write", "owner"] as const;
    for (const [held, level] of levels.entries()) {
      await grant(rooms, level);
      for (const [needed, right] of levels.entries()) {
        const demand = rooms.access.demand(anna, collection, right);
        if (held >= needed) expect(await demand).toBe(level);
        else await expect(demand).rejects.toMatchObject({ code: "permission_denied" });
      }
      expect(await rooms.access.scopeOf(anna)).toEqual({
        principal: "key_anna",
        read: ["col_1"],
        write: held >= 1 ? ["col_1"] : [],
      });
    }
  });

  it("that are missing look like a collection that is missing", async () => {
    const rooms = await open();
    await grant(rooms, "owner");
    const bert = principal("developer", "key_bert");
    const refused = await rooms.access
      .demand(bert, collection, "read")
      .catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({
      code: "not_found",
      status: 404,
      message: 'There is no collection "notes".',
    });
    expect(await rooms.access.scopeOf(bert)).toEqual({
      principal: "key_bert",
      read: [],
      write: [],
    });
  });

  it("are not needed by admins", async () => {
    const { access } = await open();
    expect(await access.demand(principal("admin"), collection, "owner")).toBe("owner");
    expect(await access.scopeOf(localPrincipal)).toEqual({
      principal: "local",
      read: "all",
      write: "all",
    });
  });
});

describe("giving and taking", () => {
  const collection = "col_1";

  async function withPeople() {
    const rooms = await open();
    const { access } = rooms;
    const add = (name: string) => access.users.create(localPrincipal, { name });
    const people = { anna: (await add("anna")).id, bert: (await add("bert")).id };
    const told: string[] = [];
    const onPrincipal = (id: string) => void told.push(id);
    const set = (named: string, right: "read" | "write" | "owner", by = localPrincipal) =>
      access.grants.set(by, { collection, principal: named, right, onPrincipal });
    const remove = (named: string, by = localPrincipal) =>
      access.grants.remove(by, { collection, principal: named, onPrincipal });
    const list = () => access.grants.list(collection, { limit: 10 });
    return { ...rooms, ...people, told, set, remove, list };
  }

  it("names a user by name or id, a key by id, and replaces the right there was", async () => {
    const { access, anna, set, list, told } = await withPeople();
    const { id: key } = await access.keys.create(localPrincipal, { name: "robot" });
    expect(await set("anna", "read")).toMatchObject({
      principal: { id: anna, name: "anna", kind: "user" },
      right: "read",
      delegated: false,
    });
    await set(anna, "owner");
    await set(key, "write");
    await set("local", "read");
    expect(await list()).toMatchObject([
      { principal: { id: key, name: "robot", kind: "key" }, right: "write" },
      { principal: { id: "local", name: "local", kind: "local" }, right: "read" },
      { principal: { id: anna, name: "anna", kind: "user" }, right: "owner" },
    ]);
    expect(told).toEqual([anna, anna, key, "local"]);
  });

  it("to nobody, and from somebody who has nothing, is refused", async () => {
    const { access, set, remove, list } = await withPeople();
    const { id: key } = await access.keys.create(localPrincipal, { name: "gone" });
    await access.keys.revoke(localPrincipal, key);
    for (const named of ["nobody", "usr_none", key, "", "ANNA"])
      await expect(set(named, "read")).rejects.toMatchObject({ code: "not_found" });
    for (const named of ["nobody", "bert", key])
      await expect(remove(named)).rejects.toMatchObject({ code: "not_found" });
    expect(await list()).toEqual([]);
  });

  it("leaves a collection that has an owner with one, also when two are taken at once", async () => {
    const { set, remove, list } = await withPeople();
    await set("anna", "owner");
    await set("bert", "write");
    const last = { code: "last_owner", status: 409 };
    await expect(remove("anna")).rejects.toMatchObject(last);
    await expect(set("anna", "write")).rejects.toMatchObject(last);
    await set("anna", "owner");
    await set("bert", "owner");
    const outcomes = await Promise.allSettled([remove("anna"), set("bert", "read")]);
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect((await list()).filter(({ right }) => right === "owner")).toHaveLength(1);
  });

  it("counts no key as an owner that is revoked, or has its right from its owner alone", async () => {
    const { access, database, anna, set, remove } = await withPeople();
    await set("anna", "owner");
    const row = await database.read
      .selectFrom("users")
      .selectAll()
      .where("id", "=", anna)
      .executeTakeFirstOrThrow();
    const by = { ...toPrincipal(row, null), role: "api_user" as const };
    await access.keys.create(by, { name: "limited", grants: [{ collection, right: "owner" }] });
    const { id: revoked } = await access.keys.create(by, { name: "revoked" });
    await set(revoked, "owner");
    await access.keys.revoke(localPrincipal, revoked);
    await expect(remove("anna")).rejects.toMatchObject({ code: "last_owner" });
    const { id: standing } = await access.keys.create(localPrincipal, { name: "standing" });
    await set(standing, "owner");
    expect(await remove("anna")).toEqual({ principal: anna, removed: true });
  });

  it("is nothing for a limited key, which could outlive what its owner has", async () => {
    const { access, anna, database, set, list } = await withPeople();
    await set("anna", "owner");
    const row = await database.read
      .selectFrom("users")
      .selectAll()
      .where("id", "=", anna)
      .executeTakeFirstOrThrow();
    const { id } = await access.keys.create(
      { ...toPrincipal(row, null), role: "api_user" },
      { name: "limited", role: "read_only", grants: [{ collection, right: "owner" }] },
    );
    const key = await access.keys.principalOf(id);
    if (!key) throw new TypeError("the key does not work");
    expect(await access.rightOn(key, collection)).toBe("owner");
    const before = await list();
    const given = { collection, principal: id, onPrincipal: () => {} };
    const refused = { code: "permission_denied", status: 403 };
    await expect(access.grants.set(key, { ...given, right: "owner" })).rejects.toMatchObject(
      refused,
    );
    await expect(access.grants.remove(key, given)).rejects.toMatchObject(refused);
    expect(await list()).toEqual(before);
  });

  it("is told to those who listen, with the keys whose rights hang on it", async () => {
    const { access, anna, database, set, remove } = await withPeople();
    await set("bert", "owner");
    const row = await database.read
      .selectFrom("users")
      .selectAll()
      .where("id", "=", anna)
      .executeTakeFirstOrThrow();
    const key = await access.keys.create(toPrincipal(row, null), { name: "k", grants: [] });
    const heard: string[] = [];
    access.onChange((affected) => heard.push(...affected));
    await set("anna", "read");
    await remove("anna");
    expect(heard).toEqual([anna, key.id, anna, key.id]);
  });
});
