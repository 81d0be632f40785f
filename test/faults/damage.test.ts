import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  closeSync,
  cpSync,
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
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openSqlite } from "#base/database/index.ts";
import { backUp } from "#base/files/index.ts";
import { runCandor, startCandor } from "../cli/run-candor.ts";
import { freshFolder } from "../fixtures/rooms/open-rooms.ts";
import { seeded } from "./acknowledged-writes.ts";
import {
  ask,
  change,
  codes,
  copyOf,
  flip,
  makeOriginal,
  models,
  open,
  original,
  owners,
  refusal,
} from "./damaged-store.ts";

/** Bits that are flipped one at a time; more by hand. */
const flips = Number(process.env["CANDOR_TEST_FLIPS"] ?? 24);

/** Where they are flipped. */
const draw = seeded(Number(process.env["CANDOR_TEST_SEED"] ?? 20_260_101));

const leaving: (() => void)[] = [];
afterAll(() => leaving.forEach((leave) => leave()));
beforeAll(() => makeOriginal(freshFolder((work) => leaving.push(work))));

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
      const page = among[draw(among.length)] ?? 1;
      const owner = places.get(page) ?? "";
      const bit = (page - 1) * 4096 * 8 + draw(4096 * 8);
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
  const server = startCandor(folder, ["serve", "--json", "--port", "0"], environment);
  await server.saw('"signInUrl"');
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
  server.child.kill("SIGKILL");
  await server.ended;
});

test("what another program changed while Candor was stopped is said, when it is sound", async () => {
  const { home, database } = copyOf();
  change(database, (to) => to.exec("update collections set description = 'mine'"));
  const app = await open(home);
  expect(await codes(app)).toContain("database_touched");
  expect(await ask(app)).toEqual(original.answer);
});
