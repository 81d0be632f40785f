import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collectionsCreate } from "#operations/collections/create.ts";
import { documentsAdd } from "#operations/documents/add.ts";
import { documentsRead } from "#operations/documents/read.ts";
import { settingsSet } from "#operations/settings/set.ts";
import { modelFolders, openTestApp, type TestApp } from "../fixtures/rooms/open-test-app.ts";
import {
  type Fault,
  faults,
  missingTracer,
  type Ran,
  runWithFault,
} from "./nth-call/run-with-fault.ts";
import { seed, seededRandom } from "./power-loss/seeded-random.ts";

/** Calls tried per flow and fault; every one by hand: `CANDOR_NTH_CALLS=all`. */
const tried =
  process.env["CANDOR_NTH_CALLS"] === "all"
    ? Infinity
    : Number(process.env["CANDOR_NTH_CALLS"] ?? 2);
/** Flows by name, separated by commas, where not all are wanted. */
const wanted = process.env["CANDOR_NTH_FLOWS"]?.split(",");
const missing = missingTracer();

const scratch = mkdtempSync(join(tmpdir(), "candor-nth-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const open = (folder: string) => openTestApp({ "models.static": [modelFolders.tiny] }, folder);
const template = join(scratch, "template");
const stored = ["one.md", "two.md", "three.md"];
const textOf = (key: string) => `# ${key}\n\nThe water of ${key}.`;

describe.skipIf(missing !== null)(
  `the Nth call that fails (seed ${seed})${missing === null ? "" : `: ${missing}`}`,
  () => {
    beforeAll(async () => {
      mkdirSync(join(template, "files"), { recursive: true });
      for (const key of ["a.md", "b.md"]) writeFileSync(join(template, "files", key), textOf(key));
      const room = await open(template);
      await room.call(collectionsCreate, { name: "notes" });
      for (const key of stored)
        await room.call(documentsAdd, { collection: "notes", key, content: textOf(key) });
      await room.call(settingsSet, { values: { "logging.level": "warn" } });
      await room.app.close();
    });

    const random = seededRandom(seed);

    test.for(Object.keys(flows).filter((flow) => wanted?.includes(flow) ?? true))(
      "%s: nothing acknowledged is lost, no failure goes untold",
      { timeout: 3_600_000 },
      async (flow) => {
        const tally = await Promise.all(
          Object.entries(faults).map(async ([what, fault]) => {
            const { calls } = await tryFlow(flow, fault, null);
            let failed = 0;
            const chosen = choose(calls, random);
            for (const nth of chosen) if ((await tryFlow(flow, fault, nth)).failed) failed += 1;
            return `${what}: ${chosen.length} of ${calls} calls tried, ${failed} runs refused`;
          }),
        );
        console.log(`${flow}\n  ${tally.join("\n  ")}`);
      },
    );
  },
);

/** The first call and some of the others. */
function choose(calls: number, random: (below: number) => number): number[] {
  if (calls <= tried) return Array.from({ length: calls }, (_, index) => index + 1);
  const chosen = new Set([1]);
  while (chosen.size < tried) chosen.add(2 + random(calls - 1));
  return [...chosen].toSorted((one, other) => one - other);
}

let runs = 0;

async function tryFlow(flow: string, fault: Fault, nth: number | null): Promise<Ran> {
  const folder = join(scratch, `run-${(runs += 1)}`);
  cpSync(template, folder, { recursive: true });
  const ran = await runWithFault(folder, flow, fault, nth);
  const what = `${flow}: call ${nth} of ${fault.calls} fails with ${fault.error}: ${JSON.stringify(ran)}`;
  expect(ran.died, what).toBeNull();
  if (nth === null) expect(ran.answer, what).not.toBeNull();
  // No success that hides a failure, and no failure without its name.
  expect(ran.failed?.code, what).not.toBe("defect");
  // A commit that the disk failed is the last one: nobody knows what the disk dropped.
  if (flow === "add" && fault.error === "EIO" && ran.injected > 0)
    expect([ran.failed?.code, ran.store, ran.later], what).toEqual([
      "database_unavailable",
      "read_only",
      "database_read_only",
    ]);
  else if (ran.store === "ok") expect(ran.later, what).toBe("added");
  await checkLeft(folder, flow, ran, what);
  rmSync(folder, { recursive: true });
  return ran;
}

/** Everything acknowledged is there when the product is opened again without faults. */
async function checkLeft(folder: string, flow: string, ran: Ran, what: string): Promise<void> {
  const database = new DatabaseSync(join(folder, "home", "candor.sqlite"));
  expect(database.prepare("pragma integrity_check").all(), what).toEqual([
    { integrity_check: "ok" },
  ]);
  expect(database.prepare("pragma foreign_key_check").all(), what).toEqual([]);
  database.close();
  const room = await open(folder);
  try {
    for (const key of stored)
      expect(await textIn(room, key), what).toContain(`The water of ${key}.`);
    if (ran.later === "added")
      expect(await textIn(room, "later.md"), what).toContain("The later water.");
    if (ran.answer) await flows[flow]?.(room, ran.answer, what);
    else if (flow !== "settings") expect(levelOf(folder), what).toBe("warn");
    // Hidden leftovers of a backup that could not even be cleared away are no backup; the next one removes them.
    const backups = join(folder, "backups");
    if (ran.failed && flow === "backup" && existsSync(backups))
      expect(
        readdirSync(backups).filter((name) => !name.startsWith(".")),
        what,
      ).toEqual([]);
    if (ran.failed && recorded.includes(flow)) {
      const entries = await room.app.ledger.list({ code: ran.failed.code, limit: 10 });
      expect(entries, what).not.toEqual([]);
    }
  } finally {
    await room.app.close();
  }
}

async function textIn(room: TestApp, document: string): Promise<string> {
  return (await room.call(documentsRead, { collection: "notes", document })).text;
}

function levelOf(folder: string): unknown {
  const settings: unknown = JSON.parse(readFileSync(join(folder, "home", "settings.json"), "utf8"));
  return (settings as Record<string, unknown>)["logging.level"];
}

/** Flows whose failure an entry of the ledger names. */
const recorded = ["add", "sync", "settings"];

/** What must be there, by flow, when it was answered. */
const flows: Record<
  string,
  (room: TestApp, answer: Record<string, unknown>, what: string) => Promise<void>
> = {
  start: async () => undefined,
  add: async (room, _answer, what) =>
    expect(await textIn(room, "new.md"), what).toContain("The new water."),
  sync: async (room, answer, what) => {
    const job = String(answer["job"]);
    const items = await room.app.jobs.items(job, { limit: 100 }, { owner: "anybody" });
    for (const { item, outcome, ledgerId } of items)
      if (outcome === "done") expect(await textIn(room, item), what).toContain("The water of");
      else expect((await room.app.ledger.get(ledgerId ?? "")).item, what).toBe(item);
    if (answer["state"] === "succeeded") expect(items, what).toHaveLength(2);
    else expect(await room.app.ledger.list({ job, limit: 10 }), what).not.toEqual([]);
  },
  settings: async ({ folder }, _answer, what) => expect(levelOf(folder), what).toBe("error"),
  end: async ({ folder }, answer, what) => {
    const report = join(folder, "home", "artifacts", `error-ledger-${String(answer["run"])}.json`);
    const { errors } = JSON.parse(readFileSync(report, "utf8")) as { errors: unknown[] };
    expect(errors, what).toContainEqual(
      expect.objectContaining({ error_code: "inference_failed", item: "x" }),
    );
  },
  backup: async (_room, answer, what) => {
    const copy = new DatabaseSync(join(String(answer["backup"]), "candor.sqlite"), {
      readOnly: true,
    });
    expect(copy.prepare("pragma integrity_check").all(), what).toEqual([{ integrity_check: "ok" }]);
    expect(copy.prepare("select key from documents").all(), what).toHaveLength(3);
    copy.close();
  },
};
