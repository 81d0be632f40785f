import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { startCandor, writeFiles } from "../cli/run-candor.ts";
import {
  closeWorkplaces,
  endOf,
  entryOf,
  followItems,
  inspect,
  openWorkplace,
  type Server,
  startSync,
  sync,
  type Workplace,
} from "./start-server.ts";

const environment = {
  CANDOR_MODELS_STATIC: fileURLToPath(new URL("../fixtures/static-16", import.meta.url)),
};

afterEach(closeWorkplaces);

const fileCount = 300;
/** Each round is killed while the job runs, while the next process starts, and while the job runs again. */
const rounds = 5;
/** Kills right behind an answer. */
const momentsAfterAnswers = 4;

/** The moments of the kills (mulberry32, a public domain generator); another seed tries other ones. */
const seed = Number(process.env["CANDOR_TEST_SEED"] ?? 20_260_101);
let drawn = seed;
function random(below: number): number {
  drawn = (drawn + 0x6d2b79f5) | 0;
  let mixed = Math.imul(drawn ^ (drawn >>> 15), drawn | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
}

type Files = Record<string, string>;

/** The folder's content in one round: most files are other than in the round before, one is gone, one is new. */
function filesOf(round: number): Files {
  const files: Files = {};
  for (let number = round; number < fileCount + round; number += 1) {
    const part = (name: string) => `The ${name} of file${number}.\n\n`.repeat(1 + (number % 4));
    files[`${number % 7}/file-${number}.md`] =
      `# Round${number % 5 === 0 ? 0 : round} file${number}\n\n${part("water")}${part("fire")}`;
  }
  return files;
}

async function writeRound(folder: string, round: number): Promise<Files> {
  rmSync(folder, { recursive: true, force: true });
  const files = filesOf(round);
  await writeFiles(folder, files);
  return files;
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/**
 * What a killed process left: nothing half, and all that the job's items name as done. Two planted bugs turn it red:
 * an item's outcome stored in a transaction before the document's, and a document's row in one before its chunks'.
 */
function checkLeft(home: string, files: Files, job: string, told: readonly string[]): void {
  const database = inspect(home);
  try {
    expect(database.all("pragma integrity_check")).toEqual([{ integrity_check: "ok" }]);
    expect(database.all("pragma foreign_key_check")).toEqual([]);
    const [{ id } = { id: "" }] = database.all("select id from collections");
    const words = `words_${String(id).toLowerCase()}`;
    const wrong = {
      "documents with other chunks than counted": `documents d where chunk_count = 0 or
        chunk_count <> (select count(*) from chunks c where c.document_id = d.id)`,
      "documents without text": `documents where id not in (select document_id from document_texts)`,
      "texts without document": `document_texts where document_id not in (select id from documents)`,
      "chunks without document": `chunks where document_id not in (select id from documents)`,
      "chunks without vector": `chunks where key not in (select chunk_key from vectors)`,
      "vectors without chunk": `vectors where chunk_key not in
        (select key from chunks union select key from trashed_chunks)`,
      "chunks without keywords": `chunks where row not in (select id from ${words}_docsize)`,
      "keywords without chunk": `${words}_docsize where id not in (select row from chunks)`,
    };
    for (const [what, where] of Object.entries(wrong))
      expect({ what, rows: database.count(where) }).toEqual({ what, rows: 0 });
    const hashes = new Map(
      database.all("select key, sha256 from documents").map((row) => [row["key"], row["sha256"]]),
    );
    const done = database
      .all(`select item, reason from job_items where job_id = '${job}' and outcome = 'done'`)
      .map(({ item }) => String(item));
    expect(told.filter((item) => !done.includes(item))).toEqual([]);
    for (const item of done)
      if (item.endsWith(" (removed)")) expect(hashes.has(item.slice(0, -10))).toBe(false);
      else expect([item, hashes.get(item)]).toEqual([item, sha256(files[item] ?? "")]);
  } finally {
    database.close();
  }
}

/** All that a search rests on, without ids and times. */
function contentOf(home: string) {
  const database = inspect(home);
  try {
    const [{ id } = { id: "" }] = database.all("select id from collections");
    const words = `words_${String(id).toLowerCase()}`;
    return {
      documents: database.all(
        "select key, sha256, title, media_type, characters, chunk_count, text from documents join document_texts on document_id = id order by key",
      ),
      chunks: database.all(
        `select d.key, ordinal, from_character, to_character, heading, prefix, c.text, c.key as chunk, tokens, hex(vector) as vector
         from chunks c join documents d on d.id = document_id join vectors on chunk_key = c.key order by d.key, ordinal`,
      ),
      words: database.all(
        `select d.key, ordinal from ${words} w join chunks c on c.row = w.rowid join documents d on d.id = document_id
         where ${words} match 'water' order by d.key, ordinal`,
      ),
    };
  } finally {
    database.close();
  }
}

/** An error that a client was told, with the ledger entry's id. */
async function failOnPurpose(server: Server): Promise<string> {
  const body = { kind: "query", inputs: ["[PAD]"] };
  return String((await server.ask("POST", "/embeddings", body)).body["instance"]);
}

/** Kills a server that is only starting. */
async function killStarting(workplace: Workplace): Promise<void> {
  const { child, ended } = startCandor(workplace.folder, ["serve", "--port", "0"], environment);
  await delay(100 + random(500));
  child.kill("SIGKILL");
  await ended;
}

/** The next server; the job is there, whatever became of the process before. */
async function serveAgain(workplace: Workplace, job: string): Promise<Server> {
  const server = await workplace.serve(environment);
  expect(await server.ask("GET", `/jobs/${job}`)).toMatchObject({ status: 200 });
  return server;
}

test(
  `kill -9 at ${rounds * 3} moments of a sync loses nothing that was told and leaves nothing half (seed ${seed})`,
  { timeout: 180_000 },
  async () => {
    const workplace = await openWorkplace();
    const folder = join(workplace.folder, "texts");
    let server = await workplace.serve(environment);
    await server.ask("POST", "/collections", { name: "notes" });
    const told: string[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const files = await writeRound(folder, round);
      const job = await startSync(server, "notes", folder);
      told.push(await failOnPurpose(server));
      const first = await followItems(server, job, random(fileCount));
      await delay(random(20));
      await server.kill();
      checkLeft(workplace.home, files, job, first);

      await killStarting(workplace);
      checkLeft(workplace.home, files, job, first);

      server = await serveAgain(workplace, job);
      const second = await followItems(server, job, random(fileCount / 2));
      await server.kill();
      checkLeft(workplace.home, files, job, [...first, ...second]);

      server = await serveAgain(workplace, job);
      expect(await endOf(server, job)).toMatchObject({ state: "succeeded", failed: 0 });
      checkLeft(workplace.home, files, job, []);
    }
    for (const entry of told)
      expect(await entryOf(server, entry)).toMatchObject({ code: "inference_failed" });
    await server.stop();

    const clean = await openWorkplace();
    const other = await clean.serve(environment);
    await other.ask("POST", "/collections", { name: "notes" });
    expect(await sync(other, "notes", folder)).toMatchObject({ state: "succeeded" });
    await other.stop();
    const left = contentOf(workplace.home);
    expect(left.documents).toHaveLength(fileCount);
    expect(left).toEqual(contentOf(clean.home));
  },
);

test(
  "a job that dies with its process three times waits, says so, and goes on when it is resumed",
  { timeout: 90_000 },
  async () => {
    const workplace = await openWorkplace();
    const folder = join(workplace.folder, "texts");
    await writeRound(folder, 0);
    let server = await workplace.serve(environment);
    await server.ask("POST", "/collections", { name: "notes" });
    const job = await startSync(server, "notes", folder);
    for (const enough of [20, 5, 5]) {
      await followItems(server, job, enough);
      await server.kill();
      server = await serveAgain(workplace, job);
    }
    const waiting = await endOf(server, job);
    expect(waiting).toMatchObject({ state: "interrupted", error: { code: "job_interrupted" } });
    expect(waiting.done).toBeGreaterThanOrEqual(20);
    expect(await entryOf(server, waiting.error?.["instance"])).toMatchObject({ jobId: job });
    const ledger = await server.ask("GET", "/ledger?code=unclean_stop");
    expect(ledger.body["items"]).toHaveLength(3);
    const logs = join(workplace.home, "logs");
    const lines = readdirSync(logs).map((name) => readFileSync(join(logs, name), "utf8"));
    expect(lines.join("").match(/ended without stopping cleanly/g)).toHaveLength(3);
    const runs = readdirSync(join(workplace.home, "artifacts"));
    expect(runs.filter((name) => /^error-ledger-.*\.json$/.test(name))).toHaveLength(3);

    const resumed = await server.ask("POST", `/jobs/${job}/resume?wait=true`);
    expect(resumed.body["job"]).toMatchObject({ state: "succeeded", done: fileCount, failed: 0 });
  },
);

test("what was answered a moment before the kill is there", { timeout: 120_000 }, async () => {
  const workplace = await openWorkplace();
  const folder = join(workplace.folder, "texts");
  await writeRound(folder, 0);
  let server = await workplace.serve(environment);
  await server.ask("POST", "/collections", { name: "notes" });
  await server.ask("POST", "/collections", { name: "single" });
  for (let time = 0; time < momentsAfterAnswers; time += 1) {
    const document = { key: `${time}.md`, content: `Water number ${time}.` };
    const key = { name: `key ${time}`, role: "read_only" };
    const [job, added, made, failed] = await Promise.all([
      startSync(server, "notes", folder),
      server.ask("POST", "/collections/single/documents", document),
      server.ask("POST", "/keys", key),
      failOnPurpose(server),
    ]);
    await server.kill();
    expect([added.status, made.status]).toEqual([201, 201]);

    server = await serveAgain(workplace, job);
    const path = `/collections/single/documents/${time}.md`;
    expect(await server.ask("GET", path)).toMatchObject({ status: 200, body: { chunks: 1 } });
    const keys = await server.ask("GET", "/keys?limit=100");
    expect(keys.body["items"]).toContainEqual(expect.objectContaining({ name: key.name }));
    expect(await entryOf(server, failed)).toMatchObject({ code: "inference_failed" });
    await server.ask("POST", `/jobs/${job}/cancel`);
  }
});
