import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { freshFolder, openRooms, type Rooms } from "../../../test/fixtures/rooms/open-rooms.ts";
import { localPrincipal, type Principal, roleIncludes, roles } from "./index.ts";
import { keyPrincipal } from "../../../test/fixtures/rooms/principals.ts";

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

describe("roles", () => {
  it("are in a strict order, each with those below", () => {
    for (const [place, role] of roles.entries())
      for (const [other, needed] of roles.entries())
        expect(roleIncludes(role, needed)).toBe(place <= other);
  });

  it("admit those who have them and nobody else", async () => {
    const { access } = await open();
    expect(access.admit(null, "public")).toBeNull();
    for (const needed of roles) {
      expect(() => access.admit(null, { role: needed })).toThrow(
        expect.objectContaining({ code: "authentication_required", status: 401 }),
      );
      for (const role of roles) {
        const who = principal(role);
        if (roleIncludes(role, needed)) expect(access.admit(who, { role: needed })).toBe(who);
        else
          expect(() => access.admit(who, { role: needed })).toThrow(
            expect.objectContaining({ code: "permission_denied", status: 403 }),
          );
      }
    }
  });
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

describe("grants", () => {
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

describe("sign-in by link", () => {
  it("works once, and gives a session that ends at its time", async () => {
    const { access, database } = await open();
    vi.useFakeTimers({ toFake: ["Date"] });
    const start = Date.now();
    const token = access.signIn.issueToken();
    const results = await Promise.allSettled([
      access.signIn.redeem(token),
      access.signIn.redeem(token),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    await expect(access.signIn.redeem(token)).rejects.toMatchObject({
      code: "sign_in_token_invalid",
      status: 401,
    });
    const [won] = results;
    if (won?.status !== "fulfilled") throw new Error("the first redemption failed");
    const { secret, expiresAt } = won.value;
    expect(expiresAt).toBe(start + 12 * 3_600_000);
    const rows = JSON.stringify(await database.read.selectFrom("sessions").selectAll().execute());
    expect(rows).not.toContain(secret);
    expect(await access.authenticate({ session: secret })).toMatchObject({
      id: "local",
      role: "superadmin",
      session: { kind: "cookie" },
    });
    vi.setSystemTime(expiresAt);
    await expect(access.authenticate({ session: secret })).rejects.toMatchObject({
      code: "credential_invalid",
    });
  });

  it("refuses late and unknown tokens", async () => {
    const { access } = await open();
    vi.useFakeTimers({ toFake: ["Date"] });
    const token = access.signIn.issueToken();
    vi.setSystemTime(Date.now() + 10 * 60_000);
    await expect(access.signIn.redeem(token)).rejects.toMatchObject({
      code: "sign_in_token_invalid",
    });
    await expect(access.signIn.redeem("unknown")).rejects.toMatchObject({
      code: "sign_in_token_invalid",
    });
  });
});
