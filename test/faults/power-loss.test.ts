import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditVerify } from "#operations/audit/verify.ts";
import { searchQuery } from "#operations/search/query.ts";
import { modelFolders, openTestApp, type TestApp } from "../fixtures/rooms/open-test-app.ts";
import { judge, type Told } from "./power-loss/judge.ts";
import { createReplay, keptShares, readLog } from "./power-loss/replay.ts";
import { seed, seededRandom } from "./power-loss/seeded-random.ts";

/** Crash points of the run; 50,000 by hand: `CANDOR_CRASH_POINTS=50000`. */
const crashPoints = Number(process.env["CANDOR_CRASH_POINTS"] ?? 1000);
/** Rounds of the workload; each writes all kinds. */
const rounds = Number(process.env["CANDOR_CRASH_ROUNDS"] ?? 30);
/** Crash points at which the product itself is opened again and asked, in each of three parts of its life. */
const reopened = Math.ceil(crashPoints / 40);

const missing = ((): string | null => {
  if (process.platform !== "linux") return "needs Linux";
  return spawnSync("cc", ["--version"]).status === 0
    ? null
    : "needs a C compiler: apt-get install gcc libc6-dev";
})();

const scratch = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "candor-power-"));
const library = join(scratch, "record.so");
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.skipIf(missing !== null)(
  `power loss (seed ${seed})${missing === null ? "" : `: ${missing}`}`,
  () => {
    beforeAll(() => {
      const source = join(import.meta.dirname, "power-loss", "record.c");
      execFileSync("cc", ["-shared", "-fPIC", "-O2", "-o", library, source, "-ldl", "-lpthread"]);
      sound = record("sound", rounds);
    });

    let sound: Recorded;

    test("the recorder sees every change: all of its calls together make the folder as it is", () => {
      const { folder, calls } = sound;
      const replay = createReplay(calls);
      replay.advance(calls.length);
      const files = replay.files({ kept: "everything", names: "at-once" }, () => 0);
      // Locks and the index of the log are written through shared memory.
      const isSeen = (name: string) => !name.endsWith("-shm");
      const there = readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && isSeen(entry.name))
        .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
      expect([...files.keys()].filter(isSeen).toSorted()).toEqual(there.toSorted());
      for (const name of there)
        expect(
          readFileSync(join(folder, name)).equals(files.get(name) ?? Buffer.alloc(0)),
          name,
        ).toBe(true);
    });

    test(
      `at ${crashPoints} moments loses nothing that was acknowledged and damages nothing`,
      { timeout: 60_000 + crashPoints * 60 },
      async () => {
        const outcome = await crash(sound, momentsOf(sound, crashPoints), false);
        console.log(say(outcome));
        expect(outcome.faults).toEqual([]);
        expect(outcome.points).toBe(crashPoints);
        expect(outcome.acknowledged).toBeGreaterThan(rounds * 7);
      },
    );

    test.for(["its first start", "its work", "its end"] as const)(
      "in %s leaves what the product opens again, with its documents and a whole audit",
      { timeout: 120_000 + reopened * 2000 },
      async (part) => {
        const { calls, told } = sound;
        const first = told[0]?.at ?? 0;
        const last = told.at(-2)?.at ?? 0;
        const bounds = {
          "its first start": [0, first],
          "its work": [first, last],
          "its end": [last, calls.length],
        } as const;
        const [from, to] = bounds[part];
        const random = seededRandom(seed);
        const moments = Array.from({ length: reopened }, () => from + random(to - from + 1));
        const outcome = await crash(sound, moments, true);
        expect(outcome.faults).toEqual([]);
      },
    );

    test(
      "with synchronous=NORMAL loses acknowledged writes at half of the moments or more",
      { timeout: 120_000 },
      async () => {
        const planted = record("normal", 10, "synchronous-normal");
        const outcome = await crash(planted, momentsOf(planted, 200), false);
        console.log(say(outcome));
        expect(outcome.lost).toBeGreaterThanOrEqual(100);
      },
    );

    test(
      "with files that are renamed before they are synced finds them torn",
      { timeout: 120_000 },
      async () => {
        const planted = record("torn", 10, "file-not-synced");
        const outcome = await crash(planted, momentsOf(planted, 100), false);
        console.log(say(outcome));
        expect(outcome.faults.some((fault) => fault.includes("file:artifacts/blob"))).toBe(true);
      },
    );
  },
);

type Recorded = { name: string; folder: string; calls: ReturnType<typeof readLog>; told: Told[] };

/** Runs the workload in a process whose calls are recorded. */
function record(name: string, count: number, planted?: string): Recorded {
  const folder = join(scratch, name, "recorded");
  mkdirSync(folder, { recursive: true });
  const log = join(scratch, name, "log");
  const child = join(import.meta.dirname, "../fixtures/faults/write-acknowledged.ts");
  const plant = new URL("planted/plant-while-loading.ts", import.meta.url);
  plant.searchParams.set("bugs", planted ?? "");
  execFileSync(
    process.execPath,
    [...(planted === undefined ? [] : ["--import", plant.href]), child, folder, String(count)],
    {
      stdio: ["ignore", "ignore", "inherit"],
      env: {
        ...process.env,
        NODE_OPTIONS: "",
        RECORD_FOLDER: folder,
        RECORD_LOG: log,
        LD_PRELOAD: library,
      },
    },
  );
  const calls = readLog(readFileSync(log));
  return { name, folder, calls, told: markersOf(calls) };
}

/** The lines of the marker file with their places among the calls. */
function markersOf(calls: Recorded["calls"]): Told[] {
  const opened = calls.find(({ kind, bytes }) => kind === "o" && bytes.toString() === "told");
  return calls.flatMap(({ kind, descriptor, bytes }, at) => {
    if (kind !== "w" || descriptor !== opened?.descriptor) return [];
    const [what, thing, value] = JSON.parse(bytes.toString()) as [Told["what"], string, string];
    return [{ at, what, thing, value }];
  });
}

type Outcome = {
  points: number;
  /** Crash points with something lost, and with something damaged. */
  lost: number;
  damaged: number;
  acknowledged: number;
  calls: number;
  faults: string[];
};

function say({ points, lost, damaged, acknowledged, calls }: Outcome): string {
  return `${points} crash points over ${calls} calls and ${acknowledged} acknowledgements: ${lost} lost something, ${damaged} were damaged`;
}

/** Half of the moments lie right behind an acknowledgement, the others anywhere, the first start included. */
function momentsOf({ calls, told }: Recorded, points: number): number[] {
  const random = seededRandom(seed);
  const acknowledged = told.filter(({ what }) => what === "done");
  return Array.from({ length: points }, (_, number) => {
    if (number % 2 === 0) return random(calls.length + 1);
    return (acknowledged[random(acknowledged.length)]?.at ?? 0) + 1;
  });
}

/** Loses the power at each of the moments, each in its own way, and judges what is left. */
async function crash(
  { name, calls, told }: Recorded,
  moments: readonly number[],
  reopen: boolean,
): Promise<Outcome> {
  const random = seededRandom(seed);
  const replay = createReplay(calls);
  const outcome: Outcome = {
    points: moments.length,
    lost: 0,
    damaged: 0,
    acknowledged: told.filter(({ what }) => what === "done").length,
    calls: calls.length,
    faults: [],
  };
  const place = join(scratch, name, "left");
  for (const at of moments.toSorted((one, other) => one - other)) {
    replay.advance(at);
    const kept = keptShares[random(3)] ?? "nothing";
    const names = random(2) === 0 ? "at-once" : "synced";
    writeFolder(place, replay.folders(), replay.files({ kept, names }, random));
    const before = told.filter((one) => one.at < at);
    const refused = reopen ? await openAgain(place, before) : [];
    const { lost, damaged } = judge(join(place, "home"), before);
    outcome.lost += lost.length > 0 ? 1 : 0;
    outcome.damaged += damaged.length > 0 ? 1 : 0;
    for (const fault of [...refused, ...lost, ...damaged])
      outcome.faults.push(`at call ${at}, ${kept} of the unsynced kept, names ${names}: ${fault}`);
  }
  return outcome;
}

function writeFolder(
  place: string,
  folders: readonly string[],
  files: ReadonlyMap<string, Uint8Array>,
): void {
  rmSync(place, { recursive: true, force: true });
  for (const folder of folders) mkdirSync(join(place, folder), { recursive: true, mode: 0o700 });
  for (const [path, content] of files)
    if (!path.endsWith("-shm")) {
      mkdirSync(dirname(join(place, path)), { recursive: true });
      writeFileSync(join(place, path), content, { mode: 0o600 });
    }
}

/** The product itself starts over what is left: what is wrong with it then. */
async function openAgain(place: string, told: readonly Told[]): Promise<string[]> {
  let room: TestApp;
  try {
    room = await openTestApp({ "models.static": [modelFolders.tiny] }, place);
  } catch (thrown) {
    return [`it does not open: ${String(thrown)}`];
  }
  const faults: string[] = [];
  const audit = await room.call(auditVerify, {});
  if (!audit.intact) faults.push(`the audit is broken: ${JSON.stringify(audit.broken)}`);
  const last = told.findLastIndex(
    ({ what, thing, value }) =>
      what === "done" && thing.startsWith("document:") && value !== "gone",
  );
  const thing = told[last]?.thing;
  if (thing !== undefined && !told.slice(last + 1).some((later) => later.thing === thing)) {
    const key = thing.slice("document:".length);
    const query = `word${Number.parseInt(key, 10)}`;
    const found = await room.call(searchQuery, { query, collections: ["notes"], mode: "keyword" });
    if (!found.items.some((hit) => hit.key === key)) faults.push(`${key} is not found`);
  }
  await room.app.close();
  return faults;
}
