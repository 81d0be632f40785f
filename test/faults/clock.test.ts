import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { writeFiles } from "../cli/run-candor.ts";
import {
  closeWorkplaces,
  endOf,
  followItems,
  inspect,
  openWorkplace,
  type Server,
  startSync,
  type Workplace,
} from "./start-server.ts";

const library = ["x86_64", "aarch64"]
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path));

const fileCount = 60;
const jumps = { "three days on": "+3d", "two years back": "-2y" } as const;

afterEach(closeWorkplaces);

/** A server whose wall clock shows what `set` was given last; its monotonic clock goes on as it does. */
async function openClock(workplace: Workplace) {
  const file = join(workplace.folder, "clock");
  const set = (offset: string) => writeFileSync(file, `${offset}\n`);
  set("+0");
  const environment = {
    LD_PRELOAD: library ?? "",
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    CANDOR_MODELS_STATIC: fileURLToPath(new URL("../fixtures/static-16", import.meta.url)),
    // A limit that a jump would pass at once, if it were measured with the wall clock.
    CANDOR_PERFORMANCE_WORKER_TIMEOUT_SECONDS: "20",
  };
  return { set, serve: () => workplace.serve(environment) };
}

function filesOf(name: string) {
  return Object.fromEntries(
    Array.from({ length: fileCount }, (_, number) => [
      `${number}.md`,
      `# ${name} ${number}\n\n${`Water of ${name}${number}.\n\n`.repeat(6)}`,
    ]),
  );
}

/** What the server's wall clock shows, in milliseconds. */
async function clockOf(server: Server): Promise<number> {
  await server.ask("POST", "/embeddings", { kind: "query", inputs: ["[PAD]"] });
  const { body } = await server.ask("GET", "/ledger?limit=100");
  const entries = body["items"] as { time: string }[];
  return Date.parse(entries.at(-1)?.time ?? "");
}

describe.skipIf(library === undefined)(
  `a wall clock that jumps${library === undefined ? " (needs libfaketime: apt-get install faketime)" : ""}`,
  () => {
    test.each(Object.entries(jumps))(
      "%s during jobs: none is lost or done twice, no limit fires, ids go on rising",
      { timeout: 90_000 },
      async (_what, offset) => {
        const workplace = await openWorkplace();
        const clock = await openClock(workplace);
        const server = await clock.serve();
        const names = ["first", "second"];
        const jobs: string[] = [];
        for (const name of names) {
          await writeFiles(join(workplace.folder, name), filesOf(name));
          await server.ask("POST", "/collections", { name });
          jobs.push(await startSync(server, name, join(workplace.folder, name)));
        }
        await followItems(server, jobs[0] ?? "", 5);
        const before = await clockOf(server);
        clock.set(offset);
        const after = await clockOf(server);
        expect(Math.abs(after - before)).toBeGreaterThan(2 * 86_400_000);
        await followItems(server, jobs[0] ?? "", 5);
        clock.set("+0");
        await clockOf(server);
        for (const job of jobs)
          expect(await endOf(server, job)).toMatchObject({
            state: "succeeded",
            done: fileCount,
            failed: 0,
            attempt: 1,
          });
        await checkAudit(server);
        await server.stop();
        checkLeft(workplace.home, jobs);
      },
    );

    test(
      "two years back between two processes: the job goes on, ids stay unique, what was done is done once",
      {
        timeout: 90_000,
      },
      async () => {
        const workplace = await openWorkplace();
        const clock = await openClock(workplace);
        const server = await clock.serve();
        const folder = join(workplace.folder, "first");
        await writeFiles(folder, filesOf("first"));
        await server.ask("POST", "/collections", { name: "first" });
        const job = await startSync(server, "first", folder);
        await followItems(server, job, 5);
        await server.kill();
        clock.set("-2y");
        const again = await clock.serve();
        expect(await endOf(again, job)).toMatchObject({
          state: "succeeded",
          done: fileCount,
          attempt: 2,
        });
        clock.set("+3d");
        const ledger = await again.ask("GET", "/ledger?code=unclean_stop");
        expect(ledger.body["items"]).toHaveLength(1);
        await checkAudit(again);
        await again.stop();
        checkLeft(workplace.home, [job]);
      },
    );
  },
);

/** The chain of the audit holds, whatever time its entries bear. */
async function checkAudit(server: Server): Promise<void> {
  const { body } = await server.ask("POST", "/audit/verify", {});
  expect(body).toMatchObject({ intact: true, broken: null });
  expect(body["checked"]).toBeGreaterThan(1);
}

/** Each file of each job is there once, and nothing has the id of another. */
function checkLeft(home: string, jobs: readonly string[]): void {
  const database = inspect(home);
  try {
    for (const job of jobs)
      expect(database.count(`job_items where job_id = '${job}' and outcome = 'done'`)).toBe(
        fileCount,
      );
    expect(database.count("documents")).toBe(fileCount * jobs.length);
    const twice = "(select key, collection_id from documents group by 1, 2 having count(*) > 1)";
    expect(database.count(twice)).toBe(0);
    expect(database.all("pragma integrity_check")).toEqual([{ integrity_check: "ok" }]);
    // The order of the rows is the order in which they were made; within one process ids rise with it.
    for (const run of database.all("select id from runs")) {
      const ids = database
        .all(`select id from ledger_entries where run_id = '${String(run["id"])}' order by rowid`)
        .map(({ id }) => String(id));
      expect(ids).toEqual(ids.toSorted());
    }
  } finally {
    database.close();
  }
}
