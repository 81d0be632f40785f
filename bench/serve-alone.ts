import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { findPackage, processEnvironment } from "#base/config/index.ts";
import { readServerFile } from "#base/network/index.ts";
import type { LoadOrder, LoadReport } from "./load-client.ts";
import type { Bench } from "./open-bench.ts";

const run = promisify(execFile);

/** A Candor in a process of its own, so that a client does not share its event loop. */
export type Alone = {
  readonly port: number;
  readonly process: ChildProcess;
  /** The bytes of a request with an API key of the role admin. */
  request(method: string, path: string, body?: unknown): string;
  /** Sends one request as `local` and reads its answer. */
  ask(method: string, path: string, body?: unknown): Promise<Record<string, unknown>>;
};

/** Starts `candor serve` over a fresh data directory, gives it to `work`, and ends it. */
export async function withServerAlone<T>(
  bench: Bench,
  work: (server: Alone) => Promise<T>,
): Promise<T> {
  const home = join(bench.temporaryFolder("alone"), "home");
  const launcher = join(findPackage().folder, "bin", "candor.js");
  const child = spawn(process.execPath, [launcher, "serve", "--port", "0"], {
    env: {
      ...processEnvironment(),
      CANDOR_HOME: home,
      CANDOR_LOGGING_CONSOLE: "false",
      CANDOR_SERVER_MAX_CONNECTIONS: "20000",
      CANDOR_SECURITY_REQUESTS_PER_MINUTE: "100000000",
    },
    stdio: ["ignore", "ignore", "inherit"],
  });
  try {
    const { url, key } = await ready(join(home, "run"), child);
    const port = Number(new URL(url).port);
    const ask: Alone["ask"] = (method, path, body) =>
      askServer(`${url}${path}`, key, { method, body });
    // The key of `local` is known without the database: what is measured is an ordinary one.
    const made = await ask("POST", "/api/v1/keys", { name: "bench", role: "admin" });
    return await work({ port, process: child, request: requestOf(port, String(made["key"])), ask });
  } finally {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
  }
}

async function askServer(
  url: string,
  key: string,
  { method, body }: { method: string; body: unknown },
): Promise<Record<string, unknown>> {
  const answer = await fetch(url, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${url}: ${await answer.text()}`);
  return (await answer.json()) as Record<string, unknown>;
}

/** Makes the bytes of requests with an API key. */
function requestOf(port: number, key: string): Alone["request"] {
  return (method, path, body) => {
    const head = `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nauthorization: Bearer ${key}\r\n`;
    if (body === undefined) return `${head}\r\n`;
    const text = JSON.stringify(body);
    return `${head}content-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
  };
}

async function ready(folder: string, child: ChildProcess) {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    const server = await readServerFile(folder);
    if (server) return server;
    await delay(20);
  }
}

/** Runs the load client in a process of its own. */
export async function load(order: LoadOrder): Promise<LoadReport> {
  const client = join(import.meta.dirname, "load-client.ts");
  const { stdout } = await run(process.execPath, [client, JSON.stringify(order)], {
    maxBuffer: 1_000_000,
  });
  return JSON.parse(stdout) as LoadReport;
}

/** A server that answers every request with the same small JSON and does nothing else: what the machine can do. */
export async function withBareServer<T>(work: (port: number) => Promise<T>): Promise<T> {
  const body = JSON.stringify({ id: "key_01", name: "bare", role: "developer" });
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
    });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await work((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Resident memory of a process, in megabytes. */
export function residentMegabytes({ pid }: ChildProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}
