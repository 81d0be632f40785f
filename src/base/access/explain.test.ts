import { describe, expect, it, onTestFinished } from "vitest";
import { freshFolder, openRooms } from "../../../test/fixtures/rooms/open-rooms.ts";
import { localPrincipal, type Role } from "./index.ts";
import type { Permission } from "./access.ts";
import type { Target } from "./explain.ts";

const notes: Target = { type: "collection", id: "col_1", name: "notes" };
const reading: Permission = {
  role: "read_only",
  grant: { on: "collections", right: "read" },
};

async function open() {
  const rooms = await openRooms(freshFolder(onTestFinished));
  onTestFinished(() => rooms.close());
  const { access } = rooms;
  const add = (name: string, role: Role) => access.users.create(localPrincipal, { name, role });
  const ask = (named: string, permission: Permission, target: Target | null = null) =>
    access.explain(named, { permission, target });
  const give = (principal: string, right: "read" | "write" | "owner") =>
    access.grants.set(localPrincipal, {
      collection: notes.id,
      principal,
      right,
      onPrincipal: () => {},
    });
  return { ...rooms, add, ask, give };
}

describe("the explanation", () => {
  it("names the rule that refuses, the first one, and each that was looked at", async () => {
    const { access, add, ask, give } = await open();
    const { id } = await add("anna", "read_only");
    expect(await ask("anna", "public")).toEqual({
      allowed: true,
      rule: "public",
      checks: [{ rule: "public", state: "passed", detail: "Everybody may call it." }],
    });
    expect(await ask("anna", { role: "developer" })).toMatchObject({
      allowed: false,
      rule: "role",
      checks: [
        { rule: "stands", state: "passed" },
        { rule: "role", state: "failed", detail: expect.stringContaining("is read_only") },
        { rule: "own", state: "not_asked" },
        { rule: "grant", state: "not_asked" },
      ],
    });
    expect(await ask(id, reading, notes)).toMatchObject({
      allowed: false,
      rule: "grant",
      checks: [{}, {}, {}, { detail: expect.stringContaining(`${id} has none`) }],
    });
    await give("anna", "write");
    expect(await ask("anna", reading, notes)).toMatchObject({
      allowed: true,
      rule: "grant",
      checks: [{}, {}, {}, { detail: expect.stringContaining("has write (by a grant)") }],
    });
    await access.users.update(localPrincipal, "anna", { disabled: true }, () => {});
    expect(await ask("anna", reading, notes)).toEqual({
      allowed: false,
      rule: "stands",
      checks: [{ rule: "stands", state: "failed", detail: "User anna is disabled." }],
    });
  });

  it("says by which grant a key has its right", async () => {
    const { access, ask, give } = await open();
    const plain = await access.keys.create(localPrincipal, { name: "k" });
    await give("local", "owner");
    expect(await ask(plain.id, reading, notes)).toMatchObject({
      checks: [{}, {}, {}, { detail: expect.stringContaining("grant to whom the key works for") }],
    });
    const limited = await access.keys.create(localPrincipal, {
      name: "k",
      grants: [{ collection: notes.id, right: "read" }],
    });
    expect(await ask(limited.id, reading, notes)).toMatchObject({
      checks: [{}, {}, {}, { detail: expect.stringContaining("has read (by a grant to the key)") }],
    });
    const { key: _key, id } = limited;
    await access.keys.revoke(localPrincipal, id);
    expect(await ask(id, reading, notes)).toMatchObject({ allowed: false, rule: "stands" });
  });

  it("of things of one's own is about whose they are", async () => {
    const { access, add, ask } = await open();
    const { id: anna } = await add("anna", "api_user");
    await add("dev", "developer");
    const jobs: Permission = { role: "api_user", own: { all: "developer" } };
    const owned = (owner: string): Target => ({ type: "owned", id: "job_1", owner });
    expect(await ask("anna", jobs, owned(anna))).toMatchObject({ allowed: true, rule: "own" });
    expect(await ask("anna", jobs, owned("usr_other"))).toMatchObject({
      allowed: false,
      rule: "own",
    });
    expect(await ask("anna", jobs)).toMatchObject({ allowed: true, rule: "own" });
    expect(await ask("dev", jobs, owned("usr_other"))).toMatchObject({ allowed: true });
    const limited = await access.keys.create(localPrincipal, { name: "k", grants: [] });
    expect(await ask(limited.id, jobs, owned("local"))).toMatchObject({
      allowed: false,
      rule: "own",
    });
    expect(await ask(limited.id, jobs, owned(limited.id))).toMatchObject({ allowed: true });
  });

  it("of somebody who never was is refused, and says that of a grant that was not asked", async () => {
    const { add, ask } = await open();
    for (const named of ["nobody", "usr_none", "key_none", ""])
      await expect(ask(named, reading, notes)).rejects.toMatchObject({ code: "not_found" });
    await add("anna", "read_only");
    expect(await ask("anna", reading)).toMatchObject({
      allowed: true,
      checks: [{}, {}, {}, { rule: "grant", state: "not_asked" }],
    });
    expect(await ask("local", reading, notes)).toMatchObject({
      allowed: true,
      checks: [{}, {}, {}, { detail: "The role superadmin owns every collection." }],
    });
  });
});
