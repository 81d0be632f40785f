import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { type Ended, runCandor, type Running, startCandor } from "../cli/run-candor.ts";

type Json = Record<string, unknown>;

export type Reply = { readonly status: number; readonly headers: Headers; readonly body: Json };

type Ask = { readonly headers?: Record<string, string>; readonly form?: FormData };

/** A `candor serve` in a process of its own. */
export type Server = Running & {
  readonly url: string;
  /** The key of the principal `local`. */
  readonly key: string;
  /** Sends a request below /api/v1 and reads the JSON answer. */
  ask(method: string, path: string, body?: unknown, options?: Ask): Promise<Reply>;
  /** SIGKILL, and waits for the end. */
  kill(): Promise<Ended>;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<Ended>;
};

/** A folder with a data directory, and the processes started over it. */
export type Workplace = {
  readonly folder: string;
  /** The data directory, unless CANDOR_HOME names another. */
  readonly home: string;
  serve(environment?: Readonly<Record<string, string>>, port?: number): Promise<Server>;
  /** Runs before the folder is removed, when every server has ended. */
  atEnd(work: () => void): void;
  /** Runs a command over the same data directory to its end. */
  candor(words: readonly string[], environment?: Readonly<Record<string, string>>): Promise<Ended>;
};

const open = new Set<{ folder: string; running: Set<Running>; endings: (() => void)[] }>();

/** Kills what was started and removes what was written; for `afterEach` or `afterAll`. */
export async function closeWorkplaces(): Promise<void> {
  for (const workplace of open) {
    for (const { child, ended } of workplace.running) {
      child.kill("SIGKILL");
      await ended;
    }
    for (const work of workplace.endings) work();
    await rm(workplace.folder, { recursive: true, force: true });
  }
  open.clear();
}

export async function openWorkplace(): Promise<Workplace> {
  const folder = await mkdtemp(join(tmpdir(), "candor-faults-"));
  const running = new Set<Running>();
  const endings: (() => void)[] = [];
  open.add({ folder, running, endings });
  const home = join(folder, "data");
  await mkdir(home, { mode: 0o700 });
  return {
    folder,
    home,
    serve: async (environment = {}, port = 0) => {
      const words = ["serve", "--json", "--port", String(port)];
      const started = startCandor(folder, words, environment);
      running.add(started);
      await started.saw('"signInUrl"');
      return toServer(started, environment["CANDOR_HOME"] ?? home);
    },
    atEnd: (work) => endings.push(work),
    candor: (words, environment) => runCandor(folder, words, environment),
  };
}

async function toServer(started: Running, home: string): Promise<Server> {
  const said = await readFile(join(home, "run", "server.json"), "utf8");
  const { url, key } = JSON.parse(said) as { url: string; key: string };
  const end = (signal: "SIGKILL" | "SIGTERM") => {
    started.child.kill(signal);
    return started.ended;
  };
  return {
    ...started,
    url,
    key,
    kill: () => end("SIGKILL"),
    stop: () => end("SIGTERM"),
    ask: async (method, path, body, { headers = {}, form } = {}) => {
      const answer = await fetch(`${url}/api/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(form === undefined ? {} : { body: form }),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      const content = (text === "" ? {} : JSON.parse(text)) as Json;
      return { status: answer.status, headers: answer.headers, body: content };
    },
  };
}

/** What a data directory holds, read beside the product: the database file with its log, by SQL. */
export function inspect(home: string) {
  const path = join(home, "candor.sqlite");
  if (!existsSync(path)) throw new Error(`${path} is not there`);
  const database = new DatabaseSync(path, { readOnly: true });
  return {
    all: (query: string) => database.prepare(query).all() as Record<string, unknown>[],
    count: (query: string) =>
      Number(database.prepare(`select count(*) as n from ${query}`).get()?.["n"]),
    close: () => database.close(),
  };
}

/** Rows of each table that content fills. */
export function countContent(home: string): Record<string, number> {
  const database = inspect(home);
  try {
    const tables = ["documents", "document_texts", "chunks", "vectors"];
    return Object.fromEntries(tables.map((table) => [table, database.count(table)]));
  } finally {
    database.close();
  }
}

/** The ledger entry that a problem or a job's item names. */
export async function entryOf(server: Server, named: unknown): Promise<Json> {
  const id = String(named).replace("urn:candor:", "");
  return (await server.ask("GET", `/ledger/${id}`)).body;
}

type Item = { item: string; outcome: string; reason: string; ledgerId: string; code?: unknown };

/** The failed items of a job, each with the code of its ledger entry. */
export async function failedItems(server: Server, job: string): Promise<Item[]> {
  const { body } = await server.ask("GET", `/jobs/${job}/items?outcome=failed&limit=100`);
  const items = body["items"] as Item[];
  for (const item of items) item.code = (await entryOf(server, item.ledgerId))["code"];
  return items;
}

export type JobAnswer = {
  id: string;
  state: string;
  done: number;
  failed: number;
  skipped: number;
  result: Json;
  error: Json | null;
};

/** Waits until a job is neither queued nor running. */
export async function endOf(server: Server, job: string): Promise<JobAnswer> {
  for (;;) {
    const { body } = await server.ask("GET", `/jobs/${job}`);
    if (body["state"] !== "queued" && body["state"] !== "running")
      return body as unknown as JobAnswer;
    await delay(50);
  }
}

/** Follows a job to its end, or until `enough` items were told as done, or the server dies; returns those items. */
export async function followItems(server: Server, job: string, enough: number): Promise<string[]> {
  const told: string[] = [];
  const { body } = await fetch(`${server.url}/api/v1/jobs/${job}/events`, {
    headers: { authorization: `Bearer ${server.key}` },
  });
  if (body === null) throw new Error("no stream of events");
  let text = "";
  for await (const bytes of body) {
    text += Buffer.from(bytes).toString();
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const data = JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? "{}") as Json;
      if (data["outcome"] === "done") told.push(String(data["item"]));
      if (event.includes("event: job.end")) return told;
    }
    if (told.length >= enough) return told;
  }
  return told;
}

/** Starts to sync a folder, and does not wait. */
export async function startSync(server: Server, collection: string, path: string): Promise<string> {
  const { body } = await server.ask("POST", `/collections/${collection}/sync`, { path });
  return (body["job"] as JobAnswer).id;
}

/** Syncs a folder and waits for the end. */
export async function sync(server: Server, collection: string, path: string): Promise<JobAnswer> {
  const { status, body } = await server.ask("POST", `/collections/${collection}/sync?wait=true`, {
    path,
  });
  if (status !== 200) throw new Error(`sync was answered with ${status}: ${JSON.stringify(body)}`);
  return body["job"] as JobAnswer;
}
