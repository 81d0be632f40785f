import type { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freshFolder } from "../fixtures/rooms/open-rooms.ts";
import { seeded } from "./acknowledged-writes.ts";
import { ask, change, codes, copyOf, makeOriginal, open, original } from "./damaged-store.ts";

/** Where bits are flipped. */
const draw = seeded(Number(process.env["CANDOR_TEST_SEED"] ?? 20_260_101));

const leaving: (() => void)[] = [];
afterAll(() => leaving.forEach((leave) => leave()));
beforeAll(() => makeOriginal(freshFolder((work) => leaving.push(work))));

/** Ways to damage a keyword table that SQLite's own check, the count of its rows or its absence tell. */
const indexDamages: [string, (to: DatabaseSync, table: string) => void][] = [
  ["dropped", (to, table) => to.exec(`drop table ${table}`)],
  ["its data dropped", (to, table) => to.exec(`drop table ${table}_data`)],
  ["its pages dropped", (to, table) => to.exec(`drop table ${table}_idx`)],
  ["its sizes dropped", (to, table) => to.exec(`drop table ${table}_docsize`)],
  ["its settings dropped", (to, table) => to.exec(`drop table ${table}_config`)],
  ["its settings emptied", (to, table) => to.exec(`delete from ${table}_config`)],
  ["its data emptied", (to, table) => to.exec(`delete from ${table}_data where id > 10`)],
  ["its pages emptied", (to, table) => to.exec(`delete from ${table}_idx`)],
  [
    "some sizes deleted",
    (to, table) =>
      to.exec(`delete from ${table}_docsize where id in (select id from ${table}_docsize limit 3)`),
  ],
  [
    "a block cut",
    (to, table) =>
      to.exec(`update ${table}_data set block = substr(block, 1, length(block) / 2) where id > 10`),
  ],
  [
    "one entry taken out",
    (to, table) => {
      const row = Number(to.prepare(`select min(id) as id from ${table}_docsize`).get()?.["id"]);
      const text = String(to.prepare(`select text from chunks where row = ${row}`).get()?.["text"]);
      to.prepare(`insert into ${table} (${table}, rowid, body) values ('delete', ?, ?)`).run(
        row,
        text,
      );
    },
  ],
];

describe("a keyword table is made again at the start", () => {
  const ends = indexDamages.flatMap(([what, damage], place) =>
    // The checksums of a clean stop tell them all alike.
    (place < 2 ? (["clean", "killed"] as const) : (["killed"] as const)).map(
      (end) => [what, end, damage] as const,
    ),
  );
  test.each(ends)("%s, after a %s end", async (what, end, damage) => {
    const { home, database } = copyOf(end);
    change(database, (to) => damage(to, original.keywords));
    const app = await open(home);
    const isTold = (await codes(app)).includes("keyword_index_damaged");
    expect(isTold).toBe(what !== "its pages emptied");
    expect(await ask(app)).toEqual(original.answer);
  });

  test("once, and then it is as it was", async () => {
    const { home, database } = copyOf();
    change(database, (to) => to.exec(`drop table ${original.keywords}_config`));
    for (let time = 0; time < 2; time += 1) {
      const app = await open(home);
      const told = (await codes(app)).filter((code) => code === "keyword_index_damaged");
      expect(told).toHaveLength(1);
      expect(await ask(app)).toEqual(original.answer);
      await app.close();
    }
  });
});

/** Changes one bit of what a keyword table keeps. */
function flipBlock(to: DatabaseSync): void {
  const rows = to.prepare(`select id, block from ${original.keywords}_data`).all();
  const { id, block } = rows[draw(rows.length)] ?? {};
  const bytes = Uint8Array.from(block as Uint8Array);
  const at = draw(bytes.length * 8);
  bytes[at >> 3] = (bytes[at >> 3] ?? 0) ^ (1 << (at & 7));
  to.prepare(`update ${original.keywords}_data set block = ? where id = ?`).run(bytes, id ?? null);
}

test("any bit of a keyword table's blocks, changed by another program, is found at the start", async () => {
  for (let time = 0; time < 4; time += 1) {
    const { home, database } = copyOf();
    change(database, (to) => flipBlock(to));
    const app = await open(home);
    expect(await codes(app)).toContain("keyword_index_damaged");
    expect(await ask(app)).toEqual(original.answer);
    await app.close();
  }
});

test("after a kill no bit of a keyword table's blocks changes an answer", async () => {
  for (let time = 0; time < 4; time += 1) {
    const { home, database } = copyOf("killed");
    change(database, (to) => flipBlock(to));
    const app = await open(home);
    expect(await ask(app)).toEqual(original.answer);
    await app.close();
  }
});

describe("a keyword table that is damaged under a running Candor", () => {
  const broken = indexDamages.filter(([what]) => /dropped$|data emptied|block cut/.test(what));
  test.each(broken)("%s: never a wrong answer, and soon the right one", async (_what, damage) => {
    const { home, database } = copyOf();
    const app = await open(home);
    change(database, (to) => damage(to, original.keywords));
    const first = await ask(app).catch((thrown: { code: string }) => thrown);
    if ("code" in first) expect(first.code).toMatch(/^(database_|keyword_index_damaged)/);
    else if (first.legs.includes("keyword failed"))
      expect(first.notices.map(({ code }) => code)).toContain("semantic_only");
    else expect(first).toEqual(original.answer);
    let times = 0;
    for (let healed = false; !healed; await delay(10)) {
      times += 1;
      expect(times, "still not mended").toBeLessThan(400);
      const next = await ask(app);
      healed = next.notices.length === 0;
      if (!healed) expect(next.legs).toContain("keyword failed");
      else expect(next).toEqual(original.answer);
    }
    expect(app.database.health().state).toBe("ok");
    const alone = await ask(app, "keyword");
    expect(alone.legs).toContain("keyword run");
  });
});

describe("a vector", () => {
  test("with another bit fails the leg of meaning, which says so", async () => {
    const { home, database } = copyOf();
    const app = await open(home);
    change(database, (to) => {
      const { key, vector } =
        to.prepare("select chunk_key as key, vector from vectors limit 1").get() ?? {};
      const bytes = Uint8Array.from(vector as Uint8Array);
      // The sign of one component: the length stays what it was.
      bytes[3] = (bytes[3] ?? 0) ^ 0x80;
      to.prepare("update vectors set vector = ? where chunk_key = ?").run(bytes, key ?? null);
    });
    const told = await ask(app);
    expect(told.legs).toEqual(["semantic failed", "keyword run"]);
    expect(told.notices.map(({ code }) => code)).toEqual(["keyword_only"]);
    await expect(ask(app, "semantic")).rejects.toMatchObject({ code: "space_invalid" });
  });

  test("that is gone is reported by the start after a kill, and fails the leg", async () => {
    const { home, database } = copyOf("killed");
    change(database, (to) =>
      to.exec("delete from vectors where chunk_key = (select min(chunk_key) from vectors)"),
    );
    const app = await open(home);
    expect(await codes(app)).toEqual(expect.arrayContaining(["space_invalid", "unclean_stop"]));
    expect((await ask(app)).legs).toEqual(["semantic failed", "keyword run"]);
  });
});
