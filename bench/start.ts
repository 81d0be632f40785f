import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { findPackage, processEnvironment } from "#base/config/index.ts";
import { readServerFile } from "#base/network/index.ts";
import { alternate, type Measured, toRow } from "./measurement.ts";
import type { Bench } from "./open-bench.ts";

/** How long a process rests before its memory is read, in milliseconds. */
const restMs = 3000;

const method =
  "From the spawn of `node bin/candor.js serve --port 0` until an authorised `GET /api/v1/jobs` answers, and until an authorised `GET /health` does, which " +
  "probes every part and so loads the model in a thread; the launcher goes on in the same process, so there is no second one to count. " +
  "First start ever: an empty data directory and an empty compile cache (the operating system's file cache is warm). Otherwise a start on a " +
  "data directory and a compile cache that an earlier start left. Idle memory is VmRSS of the serving process 3 s after it was ready, without a model, " +
  "and 3 s after that `GET /health`, with the model and its threads. Best of five starts and of three memory readings, alternating.";

/** Time until the server answers and the memory that it keeps without work. */
export async function start(bench: Bench): Promise<Measured> {
  const kept = createPlace(bench);
  // The first start fills the compile cache when it ends.
  await withServer(kept, async () => {});
  const times = await alternate(bench.size(5, 2), "less", {
    node: () => timeOfNode(),
    first: () => withServer(createPlace(bench), timeToReady),
    again: () => withServer(kept, timeToReady),
    health: () => withServer(kept, timeToHealth),
  });
  const node = { name: "`node -e 0`", figure: times.node };
  const rows = [
    toRow({ name: "Start to ready", figure: times.again, unit: "ms" }, node, {
      words: "≤ 400 ms",
      met: times.again <= 400,
    }),
    toRow({ name: "Start to ready, first start ever", figure: times.first, unit: "ms" }, node),
    toRow(
      { name: "Start to full `/health`, which loads the model", figure: times.health, unit: "ms" },
      node,
    ),
  ];
  if (process.platform !== "linux")
    return { rows, method: `${method} Memory is measured on Linux only.` };
  const memory = await alternate(bench.size(3, 1), "less", {
    node: () => withProcess(["-e", "setInterval(() => {}, 1e9)"], {}, restingMegabytes),
    idle: () =>
      withServer(kept, async (server) => {
        await timeToReady(server);
        return restingMegabytes(server.child);
      }),
    loaded: () =>
      withServer(kept, async (server) => {
        await timeToHealth(server);
        return restingMegabytes(server.child);
      }),
  });
  const idleNode = { name: "idle Node", figure: memory.node };
  rows.push(
    toRow({ name: "Idle memory", figure: memory.idle, unit: "MB" }, idleNode, {
      words: "≤ 120 MB",
      met: memory.idle <= 120,
    }),
    toRow({ name: "Idle memory, model loaded", figure: memory.loaded, unit: "MB" }, idleNode),
  );
  return { rows, method };
}

/** Where a server keeps its data and its compiled code. */
type Place = { readonly home: string; readonly cache: string };

function createPlace(bench: Bench): Place {
  return {
    home: join(bench.temporaryFolder("start"), "home"),
    cache: bench.temporaryFolder("compile-cache"),
  };
}

function timeOfNode(): Promise<number> {
  const began = performance.now();
  return withProcess(["-e", "0"], {}, async (child) => {
    await ended(child);
    return performance.now() - began;
  });
}

/** A server that said it is ready, and the moment at which it was spawned. */
type Started = {
  readonly child: ChildProcess;
  readonly url: string;
  readonly runFolder: string;
  readonly began: number;
};

/** Starts a server, lets `work` look at it once it says it is ready, and ends it in order. */
function withServer<Value>(
  { home, cache }: Place,
  work: (started: Started) => Promise<Value>,
): Promise<Value> {
  const launcher = join(findPackage().folder, "bin", "candor.js");
  const began = performance.now();
  return withProcess(
    [launcher, "serve", "--port", "0", "--json"],
    {
      CANDOR_HOME: home,
      XDG_CACHE_HOME: cache,
      LOCALAPPDATA: cache,
      CANDOR_LOGGING_CONSOLE: "false",
    },
    async (child) =>
      work({ child, url: await addressOf(child), runFolder: join(home, "run"), began }),
  );
}

/** Milliseconds from the spawn to the answer of a small read from the database. */
async function timeToReady({ url, runFolder, began }: Started): Promise<number> {
  const server = await readServerFile(runFolder);
  if (!server) throw new Error(`${runFolder} does not say how to reach the server`);
  await answers(`${url}/api/v1/jobs`, { authorization: `Bearer ${server.key}` });
  return performance.now() - began;
}

/** Milliseconds from the spawn to the first health with every part probed, which embeds a word. */
async function timeToHealth({ url, runFolder, began }: Started): Promise<number> {
  const server = await readServerFile(runFolder);
  if (!server) throw new Error(`${runFolder} does not say how to reach the server`);
  await answers(`${url}/health`, { authorization: `Bearer ${server.key}` });
  return performance.now() - began;
}

async function withProcess<Value>(
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
  work: (child: ChildProcess) => Promise<Value>,
): Promise<Value> {
  const kept = Object.entries(processEnvironment()).filter(
    ([name]) =>
      !/^(CANDOR_|NODE_|DATABASE_)|^(SECRET_KEY|LOG_LEVEL|TRUSTED_HOSTS|CORS_ORIGINS)$/.test(name),
  );
  const child = spawn(process.execPath, words, {
    env: { ...Object.fromEntries(kept), ...environment },
    stdio: ["ignore", "pipe", "ignore"],
  });
  try {
    return await work(child);
  } finally {
    child.kill("SIGTERM");
    await ended(child);
  }
}

async function addressOf(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new TypeError("the server was started without standard output");
  for await (const line of createInterface({ input: child.stdout })) {
    const { url } = JSON.parse(line) as { url: string };
    return url;
  }
  throw new Error("the server ended before it was ready");
}

function answers(url: string, headers: Record<string, string>): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false, headers }, (answer) => {
      answer.resume();
      if (answer.statusCode === 200) resolve();
      else reject(new Error(`${url} answered ${answer.statusCode}`));
    }).on("error", reject);
  });
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
  });
}

async function restingMegabytes(child: ChildProcess): Promise<number> {
  await delay(restMs);
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
  const kilobytes = /^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1];
  if (kilobytes === undefined) throw new Error(`process ${child.pid} says nothing of its memory`);
  return Number(kilobytes) / 1000;
}
