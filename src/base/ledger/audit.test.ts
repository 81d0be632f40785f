import { createHash } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { freshFolder, openRooms } from "../../../test/fixtures/rooms/open-rooms.ts";
import { protectSecret } from "#base/errors/index.ts";
import { type AuditRecord, createAudit } from "./audit.ts";

const record: AuditRecord = {
  principal: "usr_1",
  role: "admin",
  operation: "users.update",
  target: { type: "user", id: "usr_2" },
  outcome: "done",
  code: null,
  requestId: "r1",
  address: "127.0.0.1",
};

async function open(entries = 0) {
  const rooms = await openRooms(freshFolder(onTestFinished));
  onTestFinished(() => rooms.close());
  const { database, home } = rooms;
  const audit = createAudit(database);
  const append = (changed: Partial<AuditRecord> = {}) =>
    database.write(({ tables }) => audit.append(tables, { ...record, ...changed }));
  for (let made = 0; made < entries; made += 1) await append({ requestId: `r${made}` });
  /** What somebody does who writes into the file beside Candor. */
  const tamper = (sql: string, ...values: (string | number | null)[]) => {
    const other = new DatabaseSync(join(home.home, "candor.sqlite"));
    other.prepare(sql).run(...values);
    other.close();
  };
  return { database, audit, append, tamper };
}

describe("the audit", () => {
  it("keeps what was told, newest first, in pages", async () => {
    const { audit, append } = await open();
    await append();
    await append({ principal: null, role: null, target: null, outcome: "refused", code: "x" });
    const [second, first] = await audit.list({ limit: 10 });
    expect(first).toMatchObject({ ...record, number: 1, id: expect.stringMatching(/^aud_/) });
    expect(second).toMatchObject({ number: 2, principal: null, target: null, code: "x" });
    expect(Math.abs(Date.parse(first?.time ?? "") - Date.now())).toBeLessThan(60_000);
    expect(await audit.list({ limit: 1 })).toEqual([second]);
    expect(await audit.list({ limit: 1, before: 2 })).toEqual([first]);
  });

  it("is searched by who, what, outcome, and the thing or what it lies in", async () => {
    const { audit, append } = await open();
    await append({ principal: "usr_a", operation: "one" });
    await append({ outcome: "refused", target: { type: "document", id: "col_1/a/b.md" } });
    await append({ target: { type: "collection", id: "col_1" } });
    await append({ target: { type: "collection", id: "col_12" } });
    const numbers = async (filter: object) =>
      (await audit.list({ ...filter, limit: 10 })).map(({ number }) => number);
    expect(await numbers({ principal: "usr_a" })).toEqual([1]);
    expect(await numbers({ operation: "one" })).toEqual([1]);
    expect(await numbers({ outcome: "refused" })).toEqual([2]);
    expect(await numbers({ target: "col_1" })).toEqual([3, 2]);
    expect(await numbers({ target: "col_1/a/b.md" })).toEqual([2]);
    expect(await numbers({ target: "col_1/a" })).toEqual([2]);
    expect(await numbers({ target: "col_" })).toEqual([]);
  });

  it("stays whole whatever is written into it, and keeps no secret", async () => {
    const { audit, append } = await open();
    const secret = "canary-of-the-audit-test";
    protectSecret(secret);
    const key = `candor_${"A".repeat(43)}`;
    const names = [
      "a\u0000b",
      "\u0000",
      "",
      "\ud800",
      "e\u0301 \u00e9",
      "\u2028\r\n\u001b[31m",
      '","x"]',
      "🐎".repeat(500),
      `x ${secret} y`,
      key,
    ];
    for (const id of names) await append({ target: { type: "document", id } });
    expect(await audit.verify()).toMatchObject({ intact: true, checked: names.length });
    const kept = (await audit.list({ limit: 20 })).map(({ target }) => target?.id).toReversed();
    expect(kept).toEqual([
      "a\u0000b",
      "\u0000",
      "",
      "\ufffd",
      ...names.slice(4, 8),
      "x [redacted] y",
      "[redacted]",
    ]);
  });
});

describe("the chain", () => {
  it("is intact from the first entry on, also over several pages", async () => {
    const { audit, database } = await open();
    expect(await audit.verify()).toEqual({ intact: true, checked: 0, head: null, broken: null });
    await database.write(async ({ tables }) => {
      for (let made = 0; made < 2500; made += 1) await audit.append(tables, record);
    });
    const [head] = await audit.list({ limit: 1 });
    expect(await audit.verify()).toEqual({
      intact: true,
      checked: 2500,
      head: { number: 2500, hash: head?.hash },
      broken: null,
    });
  });

  it("has no gap where many write at once, and none for what was undone", async () => {
    const { audit, append, database } = await open();
    const writes = Array.from({ length: 200 }, (_, place) =>
      place % 4 === 0
        ? database.write(async ({ tables }) => {
            await audit.append(tables, record);
            throw new RangeError("undone");
          })
        : append({ requestId: `r${place}` }),
    );
    const undone = (await Promise.allSettled(writes)).filter((one) => one.status === "rejected");
    expect(undone).toHaveLength(50);
    expect(await audit.verify()).toMatchObject({ intact: true, checked: 150 });
    const numbers = (await audit.list({ limit: 200 })).map(({ number }) => number).toReversed();
    expect(numbers).toEqual(Array.from({ length: 150 }, (_, place) => place + 1));
  });

  it("lets everybody else have their turn while it is followed", async () => {
    const { audit, database } = await open();
    await database.write(async ({ tables }) => {
      for (let made = 0; made < 3500; made += 1) await audit.append(tables, record);
    });
    const course = { ended: false, turns: 0 };
    const turn = () => {
      course.turns += 1;
      if (!course.ended) setImmediate(turn);
    };
    setImmediate(turn);
    expect(await audit.verify()).toMatchObject({ intact: true, checked: 3500 });
    course.ended = true;
    expect(course.turns).toBeGreaterThanOrEqual(3);
  });

  const columns = [
    ["id", "aud_x"],
    ["time", 1],
    ["principal", "usr_9"],
    ["principal", null],
    ["role", "superadmin"],
    ["operation", "users.list"],
    ["target_type", "key"],
    ["target_id", "usr_3"],
    ["outcome", "failed"],
    ["code", "x"],
    ["request_id", "other"],
    ["address", "::1"],
    ["hash", "0".repeat(64)],
  ] as const;
  it.each(columns)("breaks where %s is changed to %s", async (column, value) => {
    const { audit, tamper } = await open(4);
    for (const number of [4, 2]) {
      const put = column === "id" ? `${value}${number}` : value;
      tamper(`update audit_entries set ${column} = ? where number = ?`, put, number);
      expect(await audit.verify()).toMatchObject({
        intact: false,
        checked: number - 1,
        broken: { number, reason: "the entry, or the one before it, was changed" },
      });
    }
  });

  it("breaks where entries are moved into each other's columns", async () => {
    const { audit, append, tamper } = await open();
    await append({ principal: "a", role: null });
    tamper("update audit_entries set principal = null, role = 'a'");
    expect(await audit.verify()).toMatchObject({ intact: false, broken: { number: 1 } });
  });

  it.each([
    ["first", [1], 1],
    ["middle", [3], 3],
    ["middle two", [2, 3], 2],
    ["last", [5], 5],
    ["last two", [4, 5], 4],
    ["whole", [1, 2, 3, 4, 5], 1],
  ])("breaks where the %s is deleted", async (_which, numbers, number) => {
    const { audit, tamper } = await open(5);
    for (const gone of numbers) tamper("delete from audit_entries where number = ?", gone);
    expect(await audit.verify()).toMatchObject({
      intact: false,
      broken: { number, reason: expect.stringContaining("missing") },
    });
  });

  it("breaks where entries are swapped, inserted or renumbered", async () => {
    const { audit, tamper } = await open(5);
    const move = (from: number, to: number) =>
      tamper("update audit_entries set number = ? where number = ?", to, from);
    move(2, 99);
    move(3, 2);
    move(99, 3);
    expect(await audit.verify()).toMatchObject({ intact: false, broken: { number: 2 } });

    const other = await open(3);
    other.tamper(`insert into audit_entries
      select 4, 'aud_new', time, principal, role, operation, target_type, target_id, outcome, code, request_id, address, hash
      from audit_entries where number = 3`);
    expect(await other.audit.verify()).toMatchObject({ intact: false, broken: { number: 4 } });

    // The first one is gone, and nobody should see it.
    const third = await open(3);
    third.tamper("delete from audit_entries where number = 1");
    third.tamper("update audit_entries set number = number - 1");
    expect(await third.audit.verify()).toMatchObject({ intact: false, broken: { number: 1 } });
  });

  it("that was written anew shows against a head that was noted, and only there", async () => {
    const { audit, append, tamper } = await open(5);
    const [head, , third] = await audit.list({ limit: 3 });
    if (!head || !third) throw new TypeError("there are entries");
    const rows = (await audit.list({ limit: 5 })).toReversed();
    let previous = "candor-audit";
    for (const row of rows) {
      const operation = row.number === 3 ? "users.list" : row.operation;
      const content = [
        previous,
        row.number,
        row.id,
        Date.parse(row.time),
        row.principal,
        row.role,
        operation,
        row.target?.type,
        row.target?.id,
        row.outcome,
        row.code,
        row.requestId,
        row.address,
      ];
      previous = createHash("sha256").update(JSON.stringify(content)).digest("hex");
      tamper(
        "update audit_entries set operation = ?, hash = ? where number = ?",
        operation,
        previous,
        row.number,
      );
    }
    expect(await audit.verify()).toMatchObject({ intact: true });
    for (const { number, hash } of [head, third])
      expect(await audit.verify({ number, hash })).toMatchObject({
        intact: false,
        broken: { number, reason: "the hash is not the one that was noted for it" },
      });
    await append();
    const [last] = await audit.list({ limit: 1 });
    const noted = { number: 6, hash: last?.hash ?? "" };
    expect(await audit.verify(noted)).toMatchObject({ intact: true, checked: 6 });
    // Cut off, and the count of the database put back with it.
    tamper("delete from audit_entries where number > 4");
    tamper("update sqlite_sequence set seq = 4 where name = 'audit_entries'");
    expect(await audit.verify()).toMatchObject({ intact: true, checked: 4 });
    expect(await audit.verify(noted)).toMatchObject({
      intact: false,
      broken: { number: 5, reason: "the entry is missing from the end" },
    });
  });
});
