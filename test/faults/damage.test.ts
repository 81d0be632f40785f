import { execFileSync, spawnSync } from "node:child_process";
import {
  appendFileSync,
  closeSync,
  cpSync,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type OpenApp, openApp } from "#app";
import { localPrincipal } from "#base/access/index.ts";
import { loadConfiguration } from "#base/config/index.ts";
import type { Notice } from "#base/errors/index.ts";
import { backUp } from "#base/files/index.ts";
import { freshFolder } from "../fixtures/rooms/open-rooms.ts";
import { runCandor, startCandor } from "../cli/run-candor.ts";

const models = fileURLToPath(new URL("../fixtures/static-16", import.meta.url));

/** Bits that are flipped one at a time; more by hand. */
const flips = Number(process.env["CANDOR_TEST_FLIPS"] ?? 24);
let drawn = Number(process.env["CANDOR_TEST_SEED"] ?? 20_260_101);
/** mulberry32, a public domain generator. */
function random(below: number): number {
  drawn = (drawn + 0x6d2b79f5) | 0;
  let mixed = Math.imul(drawn ^ (drawn >>> 15), drawn | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
}

async function open(home: string): Promise<OpenApp> {
  const app = await openApp(
    loadConfiguration({
      flags: { "storage.home": home, "logging.console": false },
      environment: { CANDOR_MODELS_STATIC: models },
      workingDirectory: home,
    }),
  );
  onTestFinished(() => app.close());
  return app;
}

const everything = { principal: "local", read: "all", write: "all" } as const;

type Told = { notices: Notice[]; legs: unknown[]; keys: string[]; scores: unknown[] };

/** What a search answers, with its notices. */
async function ask(
  app: OpenApp,
  mode: "hybrid" | "keyword" | "semantic" = "hybrid",
): Promise<Told> {
  const notices: Notice[] = [];
  const { answer } = await app.search.query(
    everything,
    { query: "water number seven", mode, limit: 50 },
    null,
    { signal: new AbortController().signal, notice: (notice) => notices.push(notice) },
  );
  return {
    notices,
    legs: answer.legs.map(({ name, state }) => `${name} ${state}`),
    keys: answer.items.map(({ key }) => key),
    scores: answer.items.map(({ scores }) => scores),
  };
}

const codes = async (app: OpenApp) =>
  (await app.ledger.list({ limit: 200 })).map(({ code }) => code);

/** A data directory after a clean stop, what it answers, and a good backup of it in `backups/`. */
const original = { home: "", keywords: "", answer: null as Told | null, backup: "" };
const leaving: (() => void)[] = [];
afterAll(() => leaving.forEach((leave) => leave()));

beforeAll(async () => {
  const folder = freshFolder((work) => leaving.push(work));
  const home = join(folder, "home");
  const app = await openApp(
    loadConfiguration({
      flags: { "storage.home": home, "logging.console": false },
      environment: { CANDOR_MODELS_STATIC: models },
      workingDirectory: folder,
    }),
  );
  const { id } = await app.search.collections.create(localPrincipal, { name: "notes" });
  const collection = await app.search.findCollection(id);
  const number = ["one", "two", "three", "four", "five", "six", "seven", "eight"];
  for (let each = 0; each < 48; each += 1) {
    const word = number[each % 8];
    await app.search.addDocument(
      collection,
      {
        key: `${each}.md`,
        content: `# Number ${word}\n\n${`Water and fire number ${word} of ${each}. `.repeat(1 + (each % 9))}`,
      },
      new AbortController().signal,
    );
  }
  original.keywords = `words_${id.toLowerCase()}`;
  original.answer = await ask(app);
  await app.close();
  const database = join(home, "candor.sqlite");
  const made = await backUp({ home, database, version: "0.0.0-test" }, join(home, "backups"));
  Object.assign(original, { home, backup: made.path.slice(home.length + 1) });
  expect(original.answer.keys).toHaveLength(50);
});

/** A copy of the data directory, as a clean stop or as a killed process left it. */
function copyOf(end: "clean" | "killed" = "clean"): { home: string; database: string } {
  const home = join(freshFolder(onTestFinished), "home");
  // Times to the last digit: they tell whether a program wrote to a file or a disk rots.
  execFileSync("cp", ["-a", original.home, home]);
  const database = join(home, "candor.sqlite");
  if (end === "killed") rmSync(`${database}-mark`);
  if (end === "killed")
    change(database, (connection) =>
      connection.exec("update runs set ended_at = null, exported = 0"),
    );
  return { home, database };
}

/** Changes a database as another program would that knows nothing of Candor and of no limits. */
function change(database: string, work: (connection: DatabaseSync) => void): void {
  const connection = new DatabaseSync(database);
  connection.enableDefensive(false);
  work(connection);
  connection.close();
}

/** Flips one bit; `unnoticed` leaves the file's times, as a disk does that rots. */
function flip(path: string, bit: number, how: "unnoticed" | "noticed" = "unnoticed"): void {
  const before = `${path}-before`;
  if (how === "unnoticed") execFileSync("touch", ["-r", path, before]);
  const byte = Buffer.alloc(1, readFileSync(path)[bit >> 3]);
  byte[0] = (byte[0] ?? 0) ^ (1 << (bit & 7));
  const file = openSync(path, "r+");
  writeSync(file, byte, 0, 1, bit >> 3);
  closeSync(file);
  if (how === "noticed") return;
  execFileSync("touch", ["-r", before, path]);
  rmSync(before);
}

/** The numbers of the pages that hold something, with whose they are. */
function owners(database: string): Map<number, string> {
  const copy = new DatabaseSync(database, { readOnly: true });
  const rows = copy.prepare("select pageno, name from dbstat").all();
  copy.close();
  return new Map(rows.map(({ pageno, name }) => [Number(pageno), String(name)]));
}

/** The error of an opening that has to fail; an opening that did not is closed again. */
async function refusal(
  home: string,
): Promise<{ code: string; message: string; nextStep?: unknown }> {
  try {
    await open(home);
  } catch (thrown) {
    return thrown as { code: string; message: string; nextStep?: unknown };
  }
  throw new Error("the damaged store was opened");
}

test(
  `each of ${flips} bits that flip while Candor is stopped is found before anything is answered`,
  { timeout: 30_000 + flips * 1_500 },
  async () => {
    const places = owners(join(original.home, "candor.sqlite"));
    const pages = [...places.keys()];
    const derived = pages.filter((page) => places.get(page)?.startsWith("words_"));
    const seen = { refused: 0, mended: 0 };
    for (let time = 0; time < flips; time += 1) {
      const { home, database } = copyOf();
      const among = time % 2 === 0 ? derived : pages;
      const page = among[random(among.length)] ?? 1;
      const owner = places.get(page) ?? "";
      const bit = (page - 1) * 4096 * 8 + random(4096 * 8);
      flip(database, bit);
      try {
        const app = await open(home);
        // Only what is derived is mended, and then the answer is the right one.
        expect(owner, `bit ${bit}`).toMatch(/^words_/);
        expect(await codes(app), `bit ${bit} of ${owner}`).toContain("keyword_index_damaged");
        expect(await ask(app)).toEqual(original.answer);
        await app.close();
        seen.mended += 1;
      } catch (thrown) {
        if (thrown instanceof Error && "code" in thrown && !("matcherResult" in thrown)) {
          // The number of the schema is read before everything else: a flip there may make it a newer one.
          expect(thrown.code, `bit ${bit} of ${owner}`).toMatch(
            /^(database_corrupt|schema_too_new)$/,
          );
          seen.refused += 1;
        } else throw thrown;
      }
    }
    expect(seen.refused + seen.mended).toBe(flips);
    expect(seen.refused).toBeGreaterThan(0);
    expect(seen.mended).toBeGreaterThan(0);
  },
);

describe("a database that is not what it was is refused by the start", () => {
  const fill = (path: string, from: number, bytes: number) => {
    const file = openSync(path, "r+");
    writeSync(file, Buffer.alloc(bytes, 0x5a), 0, bytes, from);
    closeSync(file);
  };
  test.each<[string, (path: string) => void]>([
    ["another file in its place", (path) => writeFileSync(path, "not a database ".repeat(1000))],
    ["its header gone", (path) => fill(path, 0, 100)],
    ["its first page gone", (path) => fill(path, 100, 3996)],
    ["half of it", (path) => truncateSync(path, Math.floor(statSync(path).size / 8192) * 4096)],
    ["a part of a page", (path) => truncateSync(path, 1000)],
    ["an empty file", (path) => truncateSync(path, 0)],
    ["no file", (path) => rmSync(path)],
    ["a table gone", (path) => change(path, (to) => to.exec("drop table chunks"))],
    [
      "a column gone",
      (path) => change(path, (to) => to.exec("alter table jobs drop column phase")),
    ],
    ["its schema number gone", (path) => change(path, (to) => to.exec("pragma user_version = 0"))],
  ])("%s", async (_what, damage) => {
    const { home, database } = copyOf();
    damage(database);
    const refused = await refusal(home);
    expect(refused.code).toBe("database_corrupt");
    expect(refused.nextStep).toEqual({
      text: expect.stringContaining(`candor restore ${join(home, original.backup)} --replace`),
    });
  });

  test("after a kill, pages that SQLite cannot read", async () => {
    const { home, database } = copyOf("killed");
    const pages = [...owners(database)].filter(([, name]) => name === "chunks");
    for (const [page] of pages) fill(database, (page - 1) * 4096, 64);
    expect((await refusal(home)).code).toBe("database_corrupt");
  });
});

describe("the log of a process that died", () => {
  const child = fileURLToPath(new URL("../fixtures/rooms/write-until-killed.ts", import.meta.url));
  const crash = (folder: string): string => {
    const ran = spawnSync(process.execPath, [child, folder, "0"], {
      timeout: 1500,
      killSignal: "SIGKILL",
    });
    expect(ran.signal).toBe("SIGKILL");
    const acknowledged = String(ran.stdout).split("\n").length;
    expect(acknowledged).toBeGreaterThan(20);
    return join(folder, "candor.sqlite");
  };
  const sessions = (database: string) => {
    const connection = new DatabaseSync(database);
    const found = connection.prepare("select count(*) as n from sessions").get()?.["n"];
    connection.close();
    return Number(found);
  };

  test("is refused where committed work lies behind a damaged part of it, torn at its end it is taken", async () => {
    const folder = freshFolder(onTestFinished);
    const database = crash(folder);
    const log = readFileSync(`${database}-wal`);
    const put = (content: Buffer) => {
      const home = freshFolder(onTestFinished);
      cpSync(folder, home, { recursive: true });
      writeFileSync(join(home, "candor.sqlite-wal"), content);
      return home;
    };
    const openStore = async (home: string) => {
      const { openSqlite } = await import("#base/database/index.ts");
      const store = await openSqlite({
        path: join(home, "candor.sqlite"),
        backups: join(home, "backups"),
        onFault: () => {},
      });
      await store.close();
    };
    const frame = 24 + 4096;
    const frames = Math.floor((log.length - 32) / frame);
    const damaged = Buffer.from(log);
    damaged[32 + 3 * frame + 500] = (damaged[32 + 3 * frame + 500] ?? 0) ^ 1;
    const lossy = put(damaged);
    await expect(openStore(lossy)).rejects.toMatchObject({
      code: "database_corrupt",
      message: expect.stringContaining("committed behind it"),
    });
    const headless = put(Buffer.concat([Buffer.alloc(8), log.subarray(8)]));
    await expect(openStore(headless)).rejects.toMatchObject({ code: "database_corrupt" });

    // The salts of the header tell which frames are of this log and not of the one before it.
    let last = frames;
    while (
      log.compare(log, 16, 24, 32 + (last - 1) * frame + 8, 32 + (last - 1) * frame + 16) !== 0
    )
      last -= 1;
    const torn = put(log.subarray(0, 32 + last * frame - 100));
    await openStore(torn);
    expect(sessions(join(torn, "candor.sqlite"))).toBeGreaterThan(10);
    const whole = put(log);
    appendFileSync(join(whole, "candor.sqlite-wal"), "garbage".repeat(2000));
    await openStore(whole);
    expect(sessions(join(whole, "candor.sqlite"))).toBeGreaterThanOrEqual(
      sessions(join(torn, "candor.sqlite")),
    );
  });
});

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
  const { id, block } = rows[random(rows.length)] ?? {};
  const bytes = Uint8Array.from(block as Uint8Array);
  const at = random(bytes.length * 8);
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

test("what another program changed while Candor was stopped is said, when it is sound", async () => {
  const { home, database } = copyOf();
  change(database, (to) => to.exec("update collections set description = 'mine'"));
  const app = await open(home);
  expect(await codes(app)).toContain("database_touched");
  expect(await ask(app)).toEqual(original.answer);
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
    for (let healed = false; !healed; await delay(10)) {
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

test("damage that a running Candor meets makes it read-only, is kept beside the database, and refuses the next start", async () => {
  const { home, database } = copyOf();
  const app = await open(home);
  const pages = [...owners(database)].filter(([, name]) => name === "document_texts");
  const file = openSync(database, "r+");
  for (const [page] of pages) writeSync(file, Buffer.alloc(4096, 0xff), 0, 4096, (page - 1) * 4096);
  closeSync(file);
  const read = () => app.database.unscoped.selectFrom("document_texts").selectAll().execute();
  await expect(read()).rejects.toMatchObject({ code: "database_corrupt", status: 500 });
  await expect(
    app.database.write(({ tables }) => tables.deleteFrom("sessions").execute()),
  ).rejects.toMatchObject({ code: "database_read_only", status: 503 });
  const health = await app.overview.health();
  expect(health.status).toBe("failed");
  expect(health.checks.find(({ name }) => name === "database")).toMatchObject({
    state: "failed",
    detail: expect.stringContaining("takes no more writes"),
  });
  expect(existsSync(join(home, "artifacts"))).toBe(true);
  const kept = spawnSync("grep", ["-rl", "database_corrupt", join(home, "artifacts")]);
  expect(String(kept.stdout)).not.toBe("");
  await app.close();
  const refused = await refusal(home);
  expect(refused.code).toBe("database_corrupt");
});

test("the newest backup that is sound is named, not the newest one", async () => {
  const { home, database } = copyOf();
  const newer = await backUp({ home, database, version: "0.0.0-test" }, join(home, "backups"));
  flip(join(newer.path, "candor.sqlite"), 8 * 20_000);
  rmSync(database);
  const refused = await refusal(home);
  expect(refused.nextStep).toEqual({ text: expect.stringContaining(join(home, original.backup)) });
  flip(join(home, original.backup, "manifest.json"), 8 * 100);
  expect((await refusal(home)).nextStep).toEqual({
    text: expect.stringContaining("No sound backup lies in"),
  });
});

test("doctor reads the whole database through, beside a server that runs", async () => {
  const { home, database } = copyOf();
  const folder = freshFolder(onTestFinished);
  const environment = { CANDOR_HOME: home, CANDOR_MODELS_STATIC: models };
  const { child, saw, ended } = startCandor(
    folder,
    ["serve", "--json", "--port", "0"],
    environment,
  );
  await saw('"signInUrl"');
  expect(await runCandor(folder, ["doctor"], environment)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/ok +structure/),
  });
  const [page] = [...owners(database)].find(([, name]) => name === "document_texts") ?? [1];
  const file = openSync(database, "r+");
  writeSync(file, Buffer.alloc(4096, 0xff), 0, 4096, (page - 1) * 4096);
  closeSync(file);
  const found = await runCandor(folder, ["doctor"], environment);
  expect(found.code).toBe(1);
  expect(found.stdout).toMatch(/failed +structure/);
  expect(found.stdout).toContain(`candor restore ${join(home, original.backup)} --replace`);
  const quick = await runCandor(folder, ["doctor", "--quick", "--json"], environment);
  expect(quick.stdout).not.toContain("structure");
  child.kill("SIGKILL");
  await ended;
});
