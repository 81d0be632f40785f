import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { checkCopy } from "#base/database/index.ts";
import { backUp, finishRestore, restore } from "#base/files/index.ts";
import { freshFolder, openRooms } from "../fixtures/rooms/open-rooms.ts";
import { closeWorkplaces, openWorkplace, type Server } from "./start-server.ts";

const environment = {
  CANDOR_MODELS_STATIC: fileURLToPath(new URL("../fixtures/static-16", import.meta.url)),
};
const child = fileURLToPath(new URL("../fixtures/rooms/keep-data.ts", import.meta.url));

/** Backups made while clients write; 50 by hand. */
const backups = Number(process.env["CANDOR_TEST_BACKUPS"] ?? 6);

afterEach(closeWorkplaces);

/** Clients that add documents until they are stopped; `acknowledged` is kept in this process. */
function writeUntil(server: Server, stop: AbortSignal) {
  const acknowledged: string[] = [];
  const client = async (name: number) => {
    for (let number = 0; !stop.aborted; number += 1) {
      const key = `${name}-${number}.md`;
      const content = `# Water ${key}\n\n${`Water ${number} and fire.\n\n`.repeat(3)}`;
      const { status } = await server.ask("POST", "/collections/notes/documents", { key, content });
      if (status === 201) acknowledged.push(key);
    }
  };
  const clients = [0, 1, 2, 3].map(client);
  return { acknowledged, ended: () => Promise.all(clients) };
}

/** The copy in a backup: sound, every document whole, and the keys it holds. */
function keysIn(backup: string): Set<string> {
  checkCopy(join(backup, "candor.sqlite"));
  const copy = new DatabaseSync(join(backup, "candor.sqlite"), { readOnly: true });
  try {
    const torn = copy
      .prepare(
        `select key from documents d where chunk_count <> (select count(*) from chunks c where c.document_id = d.id)
         or id not in (select document_id from document_texts)`,
      )
      .all();
    expect(torn).toEqual([]);
    const keys = copy.prepare("select key from documents").all();
    return new Set(keys.map(({ key }) => String(key)));
  } finally {
    copy.close();
  }
}

test(
  `${backups} backups while four clients write are sound and hold what was acknowledged before them`,
  { timeout: 60_000 + backups * 5_000 },
  async () => {
    const workplace = await openWorkplace();
    const server = await workplace.serve(environment);
    await server.ask("POST", "/collections", { name: "notes" });
    const stop = new AbortController();
    const { acknowledged, ended } = writeUntil(server, stop.signal);
    const source = {
      home: workplace.home,
      database: join(workplace.home, "candor.sqlite"),
      version: "0.0.0-test",
    };
    const folder = join(workplace.folder, "backups");
    let least = 0;
    for (let time = 0; time < backups; time += 1) {
      while (acknowledged.length <= least) await delay(5);
      const before = [...acknowledged];
      least = before.length;
      const { path } = await backUp(source, folder);
      const keys = keysIn(path);
      expect(before.filter((key) => !keys.has(key))).toEqual([]);
    }
    stop.abort();
    await ended();
    expect(least).toBeGreaterThan(backups);
    expect(readdirSync(folder)).toHaveLength(backups);
    expect((await server.ask("GET", "/documents/none")).status).toBe(404);
  },
);

test("a backup that is restored elsewhere answers every search as the original did", async () => {
  const workplace = await openWorkplace();
  const server = await workplace.serve(environment);
  await server.ask("POST", "/collections", { name: "notes" });
  for (let number = 0; number < 20; number += 1)
    await server.ask("POST", "/collections/notes/documents", {
      key: `${number}.md`,
      content: `# Water ${number}\n\n${"Water and fire, word by word. ".repeat(1 + (number % 5))}`,
    });
  await server.ask("PATCH", "/settings", { values: { "logging.level": "warn" } });
  const ask = async (at: Server) =>
    (await at.ask("POST", "/search", { query: "fire and water", limit: 50 })).body["items"];
  const before = await ask(server);
  const made = await workplace.candor(["backup", join(workplace.folder, "kept"), "--json"]);
  expect(made).toMatchObject({ code: 0 });
  const backup = JSON.parse(made.stdout) as { path: string; files: { name: string }[] };
  expect(made.stderr).toContain("keep it where only you can read");
  for (const name of readdirSync(backup.path))
    expect(statSync(join(backup.path, name)).mode & 0o777).toBe(0o600);

  const elsewhere = join(workplace.folder, "elsewhere");
  expect(await workplace.candor(["restore", backup.path, "--to", elsewhere])).toMatchObject({
    code: 0,
  });
  const other = await workplace.serve({ ...environment, CANDOR_HOME: elsewhere });
  expect(await ask(other)).toEqual(before);
  expect(before).toHaveLength(50);
  // The run that was going on when the backup was made did not die.
  expect((await other.ask("GET", "/ledger?code=unclean_stop")).body["items"]).toEqual([]);
  for (const name of backup.files.map((file) => file.name).filter((file) => !/sqlite/.test(file)))
    expect(readFileSync(join(elsewhere, name))).toEqual(readFileSync(join(workplace.home, name)));
});

test("a data directory that is in use, or holds something, is not restored into", async () => {
  const workplace = await openWorkplace();
  const server = await workplace.serve(environment);
  const made = await workplace.candor(["backup", "--json"]);
  const { path } = JSON.parse(made.stdout) as { path: string };
  expect(path.startsWith(join(workplace.home, "backups"))).toBe(true);
  const inUse = await workplace.candor(["restore", path, "--replace"]);
  expect(inUse).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("data_directory_in_use"),
  });
  await server.stop();
  const holds = await workplace.candor(["restore", path]);
  expect(holds.code).toBe(1);
  expect(holds.stderr).toContain("data_directory_not_empty");
  expect(holds.stderr).toContain("--replace");
  const replaced = await workplace.candor(["restore", path, "--replace", "--json"]);
  expect(replaced.code).toBe(0);
  const { aside } = JSON.parse(replaced.stdout) as { aside: string };
  expect(readdirSync(aside)).toContain("candor.sqlite");
  const missing = await workplace.candor(["restore", join(workplace.folder, "nothing")]);
  expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining("file_missing") });
});

/** A small data directory with settings and a key, and a backup of it. */
async function makeBackup(): Promise<{ home: string; backup: string }> {
  const folder = freshFolder(onTestFinished);
  const home = join(folder, "home");
  await fill(home, "first");
  const source = { home, database: join(home, "candor.sqlite"), version: "0.0.0-test" };
  const { path } = await backUp(source, join(folder, "backups"));
  return { home, backup: path };
}

/** A data directory whose database, settings and key all say `which`. */
async function fill(home: string, which: string): Promise<void> {
  const rooms = await openRooms(home);
  await rooms.database.write(async ({ tables }) => {
    await tables.deleteFrom("sessions").execute();
    for (let number = 0; number < 200; number += 1)
      await tables
        .insertInto("sessions")
        .values({
          hash: `${which} ${number} ${"x".repeat(200)}`,
          principal_id: which,
          created_at: 1,
          expires_at: 2,
        })
        .execute();
  });
  await rooms.close();
  writeFileSync(join(home, "settings.json"), JSON.stringify({ "logging.level": which }));
  writeFileSync(join(home, "secret-key"), which);
}

/** What a data directory says it is: one word when all of it agrees. */
function whatIs(home: string): string {
  const copy = new DatabaseSync(join(home, "candor.sqlite"), { readOnly: true });
  const rows = copy.prepare("select distinct principal_id as id from sessions").all();
  expect(copy.prepare("pragma integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
  copy.close();
  const settings = JSON.parse(readFileSync(join(home, "settings.json"), "utf8")) as object;
  const key = readFileSync(join(home, "secret-key"), "utf8");
  return [
    ...new Set([...rows.map(({ id }) => String(id)), ...Object.values(settings), key]),
  ].join();
}

describe("a backup that is not what it was is refused, and says what is wrong", () => {
  const flip = (path: string, at = Math.floor(statSync(path).size / 2)) => {
    const content = readFileSync(path);
    content[at] = (content[at] ?? 0) ^ 4;
    writeFileSync(path, content);
  };
  test.each([
    ["a bit of the database", (at: string) => flip(join(at, "candor.sqlite")), "candor.sqlite"],
    ["the database cut", (at: string) => truncateSync(join(at, "candor.sqlite"), 8192), "8192"],
    ["the database gone", (at: string) => rmSync(join(at, "candor.sqlite")), "candor.sqlite"],
    ["a bit of the settings", (at: string) => flip(join(at, "settings.json")), "settings.json"],
    ["more in the key", (at: string) => appendFileSync(join(at, "secret-key"), "x"), "secret-key"],
    [
      "another count",
      (at: string) => {
        const path = join(at, "manifest.json");
        writeFileSync(
          path,
          readFileSync(path, "utf8").replace(/"sessions": 200/, '"sessions": 201'),
        );
      },
      "manifest.json",
    ],
    ["no manifest", (at: string) => rmSync(join(at, "manifest.json")), "manifest.json"],
    ["half a manifest", (at: string) => truncateSync(join(at, "manifest.json"), 100), "manifest"],
    [
      "a name that leads elsewhere",
      (at: string) => {
        const path = join(at, "manifest.json");
        writeFileSync(path, readFileSync(path, "utf8").replace("secret-key", "../secret-key"));
      },
      "manifest.json",
    ],
  ])("%s", async (_what, damage, said) => {
    const { home, backup } = await makeBackup();
    await fill(home, "second");
    damage(backup);
    await expect(
      restore({ from: backup, home, database: join(home, "candor.sqlite"), replace: true }),
    ).rejects.toMatchObject({ code: "backup_invalid", message: expect.stringContaining(said) });
    expect(whatIs(home)).toBe("second");
    expect(readdirSync(home).filter((name) => /^(restor|replaced)/.test(name))).toEqual([]);
  });

  test("a database of a newer Candor", async () => {
    const { home, backup } = await makeBackup();
    const newer = new DatabaseSync(join(backup, "candor.sqlite"));
    newer.exec("pragma user_version = 900");
    newer.close();
    await expect(
      restore({
        from: join(backup, "candor.sqlite"),
        home,
        database: join(home, "candor.sqlite"),
        replace: true,
      }),
    ).rejects.toMatchObject({ code: "schema_too_new", details: { found: 900 } });
    expect(whatIs(home)).toBe("first");
  });
});

test("a damaged database is not backed up", async () => {
  const { home } = await makeBackup();
  const path = join(home, "candor.sqlite");
  const content = readFileSync(path);
  for (let page = 30; page < 60; page += 1) content.fill(255, page * 4096, page * 4096 + 100);
  writeFileSync(path, content);
  const folder = join(home, "backups");
  await expect(
    backUp({ home, database: path, version: "0.0.0-test" }, folder),
  ).rejects.toMatchObject({ code: "database_corrupt" });
  expect(readdirSync(folder)).toEqual([]);
  await expect(
    backUp({ home, database: join(home, "none.sqlite"), version: "0.0.0-test" }, folder),
  ).rejects.toMatchObject({ code: "file_missing" });
});

const hasStrace = spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0;

/** Runs the child with its nth call of `calls` answered by SIGKILL; true when it came to its end before. */
function runKilledAt(calls: string, nth: number, words: readonly string[]): boolean {
  const traced = ["-f", "-qq", "-o", "/dev/null", "-e", `trace=${calls}`];
  const ran = spawnSync(
    "strace",
    [...traced, "-e", `inject=${calls}:signal=KILL:when=${nth}`, process.execPath, child, ...words],
    // The calls are counted by thread: all of them are to be in one.
    { encoding: "utf8", env: { PATH: process.env["PATH"], UV_THREADPOOL_SIZE: "1" } },
  );
  return ran.status === 0;
}

const straceMissing = "needs strace and the right to trace (apt-get install strace)";
const stepCalls = "rename,renameat2,unlink,rmdir,fsync,fdatasync";

test(
  "a backup killed at any step leaves nothing under a backup's name",
  { timeout: 120_000 },
  async (here) => {
    if (!hasStrace) return here.skip(straceMissing);
    const { home } = await makeBackup();
    const folder = join(home, "backups");
    let killed = 0;
    for (let nth = 1; ; nth += 1) {
      const isDone = runKilledAt(stepCalls, nth, ["backup", home, folder]);
      const made = readdirSync(folder).filter((name) => name.startsWith("candor-backup-"));
      for (const name of made) keysIn(join(folder, name));
      if (isDone) {
        expect(made).not.toEqual([]);
        expect(readdirSync(folder)).toEqual(made);
        break;
      }
      killed += 1;
    }
    expect(killed).toBeGreaterThan(10);
  },
);

test(
  "a restore killed at any step leaves the old data directory or the new one",
  { timeout: 180_000 },
  async (here) => {
    if (!hasStrace) return here.skip(straceMissing);
    const { home, backup } = await makeBackup();
    await fill(home, "second");
    const original = `${home}-original`;
    cpSync(home, original, { recursive: true, preserveTimestamps: true });
    const seen = new Set<string>();
    for (let nth = 1; ; nth += 1) {
      rmSync(home, { recursive: true });
      cpSync(original, home, { recursive: true, preserveTimestamps: true });
      const isDone = runKilledAt(stepCalls, nth, ["restore", home, backup]);
      // What the next start of any command does first.
      const finished = await finishRestore(home);
      const is = whatIs(home);
      expect(finished && is === "second").toBe(false);
      expect(["first", "second"]).toContain(is);
      expect(existsSync(join(home, "restore.json"))).toBe(false);
      const asides = readdirSync(home).filter((name) => name.startsWith("replaced-"));
      if (is === "first") {
        expect(asides).toHaveLength(1);
        expect(whatIs(join(home, basename(asides[0] ?? "")))).toBe("second");
      }
      await (await openRooms(home)).close();
      seen.add(is);
      if (isDone) break;
    }
    expect(seen).toEqual(new Set(["first", "second"]));
  },
);

test("a data directory between the old and the new is not opened before the restore is finished", async () => {
  const workplace = await openWorkplace();
  const { home, backup } = await makeBackup();
  cpSync(home, workplace.home, { recursive: true });
  writeFileSync(join(workplace.home, "settings.json"), "{}");
  rmSync(join(workplace.home, "secret-key"));
  const stage = join(workplace.home, "restoring-x");
  mkdirSync(stage);
  cpSync(join(backup, "candor.sqlite"), join(stage, "candor.sqlite"));
  const entries = [
    { name: "candor.sqlite-mark", incoming: false },
    { name: "candor.sqlite", incoming: true },
  ];
  writeFileSync(
    join(workplace.home, "restore.json"),
    JSON.stringify({ stage: "restoring-x", aside: "replaced-x", entries }),
  );
  const refused = await workplace.candor(["backup"]);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("not finished yet") });
  expect(await workplace.candor(["doctor"], environment)).toMatchObject({ code: 0 });
  expect(readdirSync(workplace.home)).not.toContain("restore.json");
  expect(readdirSync(join(workplace.home, "replaced-x"))).toContain("candor.sqlite");
});
