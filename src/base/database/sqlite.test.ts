import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import type { CandorError } from "#base/errors/index.ts";
import { freshFolder } from "../../../test/fixtures/rooms/open-rooms.ts";
import { type Database, newId, openSqlite } from "./index.ts";

const session = (hash: string) => ({ hash, principal_id: "local", created_at: 1, expires_at: 2 });

async function open(
  folder = freshFolder(onTestFinished),
): Promise<{ database: Database; faults: CandorError[]; folder: string }> {
  const faults: CandorError[] = [];
  const database = await openSqlite({
    path: join(folder, "candor.sqlite"),
    backups: join(folder, "backups"),
    onFault: (error) => faults.push(error),
  });
  onTestFinished(() => database.close());
  return { database, faults, folder };
}

const hashes = async (database: Database) =>
  (await database.read.selectFrom("sessions").select("hash").orderBy("hash").execute()).map(
    ({ hash }) => hash,
  );
const insert = (database: Database, hash: string) =>
  database.write(({ tables }) => tables.insertInto("sessions").values(session(hash)).execute());

describe("how the store is opened", () => {
  it("sets what durability and safety rest on", async () => {
    const { database, folder } = await open();
    await insert(database, "a");
    const other = new DatabaseSync(join(folder, "candor.sqlite"), { readOnly: true });
    onTestFinished(() => other.close());
    expect(other.prepare("pragma journal_mode").get()).toEqual({ journal_mode: "wal" });
    expect(other.prepare("pragma integrity_check").get()).toEqual({ integrity_check: "ok" });
    expect(database.health()).toMatchObject({ state: "ok", reason: null });
    await expect(
      database.write(({ tables }) =>
        tables
          .insertInto("vectors")
          .values({ chunk_key: "k", space_id: "spc_none", vector: new Uint8Array(4) })
          .execute(),
      ),
    ).rejects.toMatchObject({ code: "database_integrity", status: 409 });
  });

  it("refuses a database of a newer Candor and leaves it untouched", async () => {
    const { database, folder } = await open();
    await insert(database, "a");
    await database.close();
    const path = join(folder, "candor.sqlite");
    const newer = new DatabaseSync(path);
    newer.exec("pragma user_version = 999");
    newer.close();
    const before = readFileSync(path);
    await expect(open(folder)).rejects.toMatchObject({
      code: "schema_too_new",
      details: { found: 999 },
    });
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it("leaves a file whose migration fails as it was, with a copy in backups", async () => {
    const folder = freshFolder(onTestFinished);
    const path = join(folder, "candor.sqlite");
    const foreign = new DatabaseSync(path);
    // Looks like schema 0 with a table that the first step wants to make itself.
    foreign.exec("create table spaces (mine text); insert into spaces values ('kept')");
    foreign.close();
    await expect(open(folder)).rejects.toMatchObject({ code: "migration_failed" });
    const after = new DatabaseSync(path, { readOnly: true });
    onTestFinished(() => after.close());
    expect(after.prepare("select mine from spaces").all()).toEqual([{ mine: "kept" }]);
    expect(after.prepare("pragma user_version").get()).toEqual({ user_version: 0 });
    expect(after.prepare("select name from sqlite_master where type = 'table'").all()).toEqual([
      { name: "spaces" },
    ]);
    const [copy = ""] = existsSync(join(folder, "backups"))
      ? readdirSync(join(folder, "backups"))
      : [];
    expect(copy).toMatch(/^before-schema-\d+-\d+\.sqlite$/);
    const kept = new DatabaseSync(join(folder, "backups", copy), { readOnly: true });
    onTestFinished(() => kept.close());
    expect(kept.prepare("select mine from spaces").all()).toEqual([{ mine: "kept" }]);
  });

  it("says what is wrong with a file that is no database, and with a place that cannot be opened", async () => {
    const folder = freshFolder(onTestFinished);
    const { writeFileSync } = await import("node:fs");
    writeFileSync(
      join(folder, "candor.sqlite"),
      "this is no database, however long it is. ".repeat(100),
    );
    await expect(open(folder)).rejects.toMatchObject({ code: "database_corrupt" });
    const other = freshFolder(onTestFinished);
    mkdirSync(join(other, "candor.sqlite"));
    await expect(open(other)).rejects.toMatchObject({ code: "database_unavailable" });
  });
});

describe("group commit", () => {
  it("keeps 63 of 64 concurrent writes when one fails, which is undone alone", async () => {
    const { database } = await open();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 64 }, (_, number) =>
        database.write(async ({ tables }) => {
          await tables
            .insertInto("sessions")
            .values(session(`a${number}`))
            .execute();
          if (number === 17) throw new RangeError("not this one");
          return number;
        }),
      ),
    );
    const failed = outcomes.filter(({ status }) => status === "rejected");
    expect(failed).toEqual([{ status: "rejected", reason: new RangeError("not this one") }]);
    const kept = await hashes(database);
    expect(kept).toHaveLength(63);
    expect(kept).not.toContain("a17");
  });

  it("puts the writes of one tick in one transaction and answers after its commit", async () => {
    const { database, folder } = await open();
    const witness = new DatabaseSync(join(folder, "candor.sqlite"), { readOnly: true });
    onTestFinished(() => witness.close());
    const count = () => Number(witness.prepare("select count(*) as n from sessions").get()?.["n"]);
    const seenInside: number[] = [];
    const seenAfter: number[] = [];
    await Promise.all(
      Array.from({ length: 10 }, async (_, number) => {
        await database.write(async ({ tables }) => {
          await tables
            .insertInto("sessions")
            .values(session(`b${number}`))
            .execute();
          seenInside.push(count());
        });
        seenAfter.push(count());
      }),
    );
    // Nobody sees a row before the commit; whoever has an answer sees all of the group.
    expect(seenInside).toEqual(Array.from({ length: 10 }, () => 0));
    expect(seenAfter).toEqual(Array.from({ length: 10 }, () => 10));
  });

  it("shows uncommitted rows to the work itself and to no reader", async () => {
    const { database } = await open();
    const seen = await database.write(async ({ tables }) => {
      await tables.insertInto("sessions").values(session("c")).execute();
      const inside = await tables.selectFrom("sessions").select("hash").execute();
      const outside = await database.read.selectFrom("sessions").select("hash").execute();
      return { inside: inside.length, outside: outside.length };
    });
    expect(seen).toEqual({ inside: 1, outside: 0 });
    expect(await hashes(database)).toEqual(["c"]);
  });

  it("reports a work that awaits something else while it holds the transaction", async () => {
    const { database, faults } = await open();
    await database.write(async ({ tables }) => {
      await nextTurn();
      await nextTurn();
      await tables.insertInto("sessions").values(session("d")).execute();
    });
    expect(faults.map(({ code, message }) => ({ code, message }))).toEqual([
      { code: "defect", message: expect.stringContaining("awaited something outside") },
    ]);
    expect(await hashes(database)).toEqual(["d"]);
  });

  it("refuses a write inside a write instead of waiting for itself", async () => {
    const { database } = await open();
    const outer = database.write(async ({ tables }) => {
      await tables.insertInto("sessions").values(session("e")).execute();
      await insert(database, "f");
    });
    await expect(outer).rejects.toMatchObject({ code: "defect" });
    await insert(database, "g");
    expect(await hashes(database)).toEqual(["g"]);
  });

  it("says what is taken, and raises nothing but its own family from bad queries", async () => {
    const { database } = await open();
    await insert(database, "h");
    await expect(insert(database, "h")).rejects.toMatchObject({ code: "already_exists" });
    await expect(
      database.read
        .selectFrom("sessions")
        .select("nothing" as "hash")
        .execute(),
    ).rejects.toMatchObject({ code: "database_query_failed", status: 500 });
    await expect(
      database.read.selectFrom("sessions").selectAll().where("hash", "=", "none").execute(),
    ).resolves.toEqual([]);
  });

  it("finishes what was handed in before it closes", async () => {
    const { database, folder } = await open();
    const writes = Array.from({ length: 300 }, (_, number) => insert(database, `i${number}`));
    await database.close();
    await Promise.all(writes);
    const again = await open(folder);
    expect(await hashes(again.database)).toHaveLength(300);
  });
});

describe("reads in a scope", () => {
  it("add the owner's predicate to every owned table", async () => {
    const { database } = await open();
    await database.write(async ({ tables }) => {
      await tables
        .insertInto("spaces")
        .values({
          id: "spc_1",
          identity: "x",
          name: "s",
          runtime: "static",
          model_name: "m",
          model_revision: "r",
          pooling: "mean",
          normalized: 1,
          dims: 2,
          max_tokens: null,
          prefixes: "{}",
          fusion_weight: null,
          fusion_measured_at: null,
          fusion_data_hash: null,
          created_at: 1,
        })
        .execute();
      for (const id of ["col_a", "col_b"])
        await tables
          .insertInto("collections")
          .values({
            id,
            name: id,
            kind: "document",
            space_id: "spc_1",
            max_tokens: 1,
            overlap_tokens: 0,
            description: null,
            generation: 1,
            created_at: 1,
            updated_at: 1,
          })
          .execute();
    });
    const names = async (read: "all" | string[]) =>
      (
        await database
          .as({ principal: "key_1", read, write: [] })
          .select("collections")
          .select("id")
          .orderBy("id")
          .execute()
      ).map(({ id }) => id);
    expect(await names("all")).toEqual(["col_a", "col_b"]);
    expect(await names(["col_b"])).toEqual(["col_b"]);
    expect(await names([])).toEqual([]);
    expect(await names(["col_a') or 1=1 --"])).toEqual([]);
  });
});

describe("ids", () => {
  it("carry what they name, in upper case, and grow", () => {
    const made = Array.from({ length: 1000 }, () => newId("job"));
    expect(made[0]).toMatch(/^job_[0-9A-HJKMNP-TV-Z]{26}$/);
    expect([...made].sort()).toEqual(made);
    expect(new Set(made).size).toBe(1000);
  });
});
