import { execFileSync } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished } from "vitest";
import { type OpenApp, openApp } from "#app";
import { localPrincipal } from "#base/access/index.ts";
import { loadConfiguration } from "#base/config/index.ts";
import type { Notice } from "#base/errors/index.ts";
import { backUp } from "#base/files/index.ts";
import { freshFolder } from "../fixtures/rooms/open-rooms.ts";

/** The models of these data directories: small, so that a start is quick. */
export const models = fileURLToPath(new URL("../fixtures/static-16", import.meta.url));

/** The whole product without doors over `home`, closed when the test ends. */
export async function open(home: string): Promise<OpenApp> {
  const app = await openApp(configuration(home));
  onTestFinished(() => app.close());
  return app;
}

function configuration(home: string) {
  return loadConfiguration({
    flags: { "storage.home": home, "logging.console": false },
    environment: { CANDOR_MODELS_STATIC: models },
    workingDirectory: home,
  });
}

const everything = { principal: "local", read: "all", write: "all" } as const;

type Told = { notices: Notice[]; legs: unknown[]; keys: string[]; scores: unknown[] };

/** What a search answers, with its notices. */
export async function ask(
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

/** The codes of the ledger, oldest first. */
export const codes = async (app: OpenApp) =>
  (await app.ledger.list({ limit: 200 })).map(({ code }) => code);

/** A data directory after a clean stop, what it answers, and a good backup of it in `backups/`. */
export const original = { home: "", keywords: "", answer: null as Told | null, backup: "" };

/** Fills `original`; for `beforeAll`. */
export async function makeOriginal(folder: string): Promise<void> {
  const home = join(folder, "home");
  const app = await openApp(configuration(home));
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
}

/** A copy of the data directory, as a clean stop or as a killed process left it. */
export function copyOf(end: "clean" | "killed" = "clean"): { home: string; database: string } {
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
export function change(database: string, work: (connection: DatabaseSync) => void): void {
  const connection = new DatabaseSync(database);
  connection.enableDefensive(false);
  work(connection);
  connection.close();
}

/** Flips one bit and leaves the file's times, as a disk does that rots. */
export function flip(path: string, bit: number): void {
  const before = `${path}-before`;
  execFileSync("touch", ["-r", path, before]);
  const byte = Buffer.alloc(1, readFileSync(path)[bit >> 3]);
  byte[0] = (byte[0] ?? 0) ^ (1 << (bit & 7));
  const file = openSync(path, "r+");
  writeSync(file, byte, 0, 1, bit >> 3);
  closeSync(file);
  execFileSync("touch", ["-r", before, path]);
  rmSync(before);
}

/** The numbers of the pages that hold something, with whose they are. */
export function owners(database: string): Map<number, string> {
  const copy = new DatabaseSync(database, { readOnly: true });
  const rows = copy.prepare("select pageno, name from dbstat").all();
  copy.close();
  return new Map(rows.map(({ pageno, name }) => [Number(pageno), String(name)]));
}

/** The error of an opening that has to fail; an opening that did not is closed again. */
export async function refusal(
  home: string,
): Promise<{ code: string; message: string; nextStep?: unknown }> {
  try {
    await open(home);
  } catch (thrown) {
    return thrown as { code: string; message: string; nextStep?: unknown };
  }
  throw new Error("the damaged store was opened");
}
