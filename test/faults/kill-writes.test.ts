import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { startCandor, writeFiles } from "../cli/run-candor.ts";
import {
  type Acknowledged,
  compare,
  type Draw,
  kinds,
  newLedger,
  password,
  seeded,
} from "./acknowledged-writes.ts";
import { closeWorkplaces, openWorkplace, type Server, startSync } from "./start-server.ts";

const environment = {
  CANDOR_MODELS_STATIC: fileURLToPath(new URL("../fixtures/static-16", import.meta.url)),
};

afterEach(closeWorkplaces);

/** Kills; 2,000 by hand. They are shared by data directories that live side by side. */
const kills = Number(process.env["CANDOR_TEST_KILLS"] ?? 100);
const seed = Number(process.env["CANDOR_TEST_SEED"] ?? 20_260_101);
const homes = 2;

/** Most answers between two kills: a life is measured by what it did, not by time, which a busy machine has none of. */
const mostAnswers = 60;

/** What the clients work on besides what they make themselves. */
async function begin(server: Server, { done }: Acknowledged): Promise<void> {
  for (const name of ["writes", "synced"]) await server.ask("POST", "/collections", { name });
  for (const name of ["grantee-0", "grantee-1"])
    expect(await server.ask("POST", "/users", { name, password })).toMatchObject({ status: 201 });
  for (const operation of ["collections.create", "users.create"])
    done.set(operation, { answered: 2, asked: 2 });
}

/** Kinds that start threads or hash passwords: only some lives have them, so that a hundred take a minute and a half. */
const heavy = ["document", "login"];

/** A client of every kind, each at its own things, until the server dies; of documents two. */
function workUntilDeath(server: Server, ledger: Acknowledged, draw: Draw, isHeavy: boolean) {
  const busy = Object.keys(kinds).filter((kind) => isHeavy || !heavy.includes(kind));
  const clients = [...busy, ...(isHeavy ? ["document"] : [])].map(async (kind, place) => {
    // Nothing is asked after the kill: a second request without an answer would hide what the first one did.
    while (!server.child.killed) await kinds[kind]?.(server, ledger, draw, `${kind}${place}`);
  });
  return async () => {
    await server.kill();
    await Promise.all(clients);
  };
}

function answers({ done }: Acknowledged, of = /./): number {
  return [...done].reduce((sum, [name, { answered }]) => sum + (of.test(name) ? answered : 0), 0);
}

async function livesAndDeaths(
  deaths: number,
  draw: Draw,
): Promise<{ ledger: Acknowledged; lost: string[] }> {
  const workplace = await openWorkplace();
  const folder = join(workplace.folder, "texts");
  const ledger = newLedger();
  const lost: string[] = [];
  let job: string | null = null;
  for (let death = 0; death < deaths; death += 1) {
    if (death > 0 && draw(10) === 0) {
      const { child, ended } = startCandor(workplace.folder, ["serve", "--port", "0"], environment);
      await delay(50 + draw(500));
      child.kill("SIGKILL");
      await ended;
    } else {
      const server = await workplace.serve(environment);
      if (death === 0) await begin(server, ledger);
      // A job is there whatever became of the process that was told of it.
      if (job !== null) {
        const { status } = await server.ask("GET", `/jobs/${job}`);
        if (status !== 200) lost.push(`job ${job} answers ${status}`);
      }
      const isHeavy = death % 3 === 0;
      if (death % 6 === 0) {
        const files = Array.from({ length: 40 }, (_, file) => [
          `${file}.md`,
          `# Water ${file}\n\nFire ${draw(3)}.\n`,
        ]);
        await writeFiles(folder, Object.fromEntries(files) as Record<string, string>);
        job = await startSync(server, "synced", folder);
      }
      const enough = answers(ledger) + draw(mostAnswers);
      const documents = answers(ledger, /^documents|^trash/) + (isHeavy ? draw(8) : 0);
      const kill = workUntilDeath(server, ledger, draw, isHeavy);
      while (answers(ledger) < enough || answers(ledger, /^documents|^trash/) < documents)
        await delay(1);
      await delay(draw(10));
      await kill();
    }
    lost.push(...compare(workplace.home, ledger).map((what) => `death ${death}: ${what}`));
    if (lost.length > 0) break;
  }
  const server = await workplace.serve(environment);
  const audit = await server.ask("POST", "/audit/verify", {});
  if (audit.body["intact"] !== true) lost.push(JSON.stringify(audit.body));
  return { ledger, lost };
}

test(
  `${kills} kills over every kind of write lose nothing that was answered and leave nothing half (seed ${seed})`,
  { timeout: 60_000 + kills * 4_000 },
  async ({ annotate }) => {
    const ended = await Promise.all(
      Array.from({ length: homes }, (_, home) =>
        livesAndDeaths(Math.ceil(kills / homes), seeded(seed + home)),
      ),
    );
    expect(ended.flatMap(({ lost }) => lost)).toEqual([]);
    const answered = new Map<string, number>();
    for (const { ledger } of ended)
      for (const [operation, { answered: n }] of ledger.done)
        answered.set(operation, (answered.get(operation) ?? 0) + n);
    await annotate([...answered].map(([operation, n]) => `${operation} ${n}`).join(", "));
    // Each kind was really at work.
    for (const operation of [
      "documents.add",
      "documents.delete",
      "trash.restore",
      "collections.create",
      "collections.update",
      "collections.delete",
      "settings.set",
      "keys.create",
      "keys.revoke",
      "ledger.resolve",
      "users.create",
      "users.update",
      "grants.set",
      "grants.remove",
      "auth.login",
      "auth.refresh",
    ])
      expect(answered.get(operation) ?? 0, operation).toBeGreaterThan(0);
  },
);
