import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { writeCorpus } from "./corpus.ts";
import { alternate, type Measured, type Row, toRow } from "./measurement.ts";
import type { Bench } from "./open-bench.ts";
import {
  type Alone,
  load,
  residentMegabytes,
  withBareServer,
  withServerAlone,
} from "./serve-alone.ts";

/** Callers at the same time. */
const connections = 64;
/** Sockets that are open and say nothing. */
const idleSockets = 5000;
/** The share of the measured ceiling at which latency and errors are looked at: what an operator would plan for. */
const ratedShare = 0.6;

const method =
  "The server and the client are processes of their own on the same machine, the client sends prepared bytes over 64 connections and only counts; after one second " +
  "to get warm. Reads are `GET /api/v1/auth/me` and `GET …/documents/:document` with an API key: hashed key, rights and idempotency of the role are looked up in the database for " +
  "every request. The baseline is node:http answering constant JSON to the same client. A write is `grants.set`: it looks up user and owners, replaces the grant, " +
  "adds the audit entry with its hash, and is answered after COMMIT with `synchronous=FULL`. Rated load is 60 % of the highest rate of reads, sent at fixed times, and " +
  "latency counts from when a request was due. Best of three, alternating; the event loop's delay is what the server itself reports (`system.metrics`).";

/** Requests per second, latency, memory and the event loop of a server under load. */
export async function loads(bench: Bench): Promise<Measured> {
  return withServerAlone(bench, async (server) => {
    const requests = await prepare(server);
    const rows = [
      ...(await reads(bench, server, requests)),
      ...(await writes(bench, server, requests)),
      ...(await sockets(bench, server)),
      ...(await whileIndexing(bench, server)),
    ];
    return { method, rows };
  });
}

type Requests = {
  readonly me: string;
  readonly document: string;
  readonly grants: readonly string[];
};

async function prepare(server: Alone): Promise<Requests> {
  await server.ask("POST", "/api/v1/collections", { name: "load" });
  const added = await server.ask("POST", "/api/v1/collections/load/documents", {
    content: "A document that is read many times.",
  });
  const { id } = added["document"] as { id: string };
  const rights = ["read", "write"];
  for (const name of rights) await server.ask("POST", "/api/v1/users", { name });
  return {
    me: server.request("GET", "/api/v1/auth/me"),
    document: server.request("GET", `/api/v1/collections/load/documents/${id}`),
    grants: rights.map((right) =>
      server.request("POST", "/api/v1/collections/load/grants", { principal: right, right }),
    ),
  };
}

async function reads(bench: Bench, { port }: Alone, requests: Requests): Promise<Row[]> {
  const seconds = bench.size(5, 1);
  const most = { connections, seconds, rate: null };
  const p99: number[] = [];
  const perSecond = async (to: number, request: string) => {
    const report = await load({ ...most, port: to, requests: [request] });
    if (report.answers !== report.statuses["2xx"]) throw new Error(JSON.stringify(report));
    if (request === requests.me && to === port) p99.push(report.p99);
    return report.answers / seconds;
  };
  const best = await alternate(bench.size(3, 1), "more", {
    bare: () => withBareServer((bare) => perSecond(bare, requests.me)),
    me: () => perSecond(port, requests.me),
    document: () => perSecond(port, requests.document),
  });
  const rate = Math.round(best.me * ratedShare);
  const rated = await load({ port, connections, seconds, rate, requests: [requests.me] });
  const errors = 1 - (rated.statuses["2xx"] ?? 0) / rated.answers;
  const baseline = { name: "node:http, constant answer", figure: best.bare };
  const lowest = Math.min(...p99);
  return [
    toRow({ name: "Authenticated reads, auth.me", figure: best.me, unit: "requests/s" }, baseline, {
      words: "≥ 15,000/s",
      met: best.me >= 15_000,
    }),
    toRow(
      { name: "Authenticated reads, auth.me, p99", figure: lowest, unit: "ms" },
      { name: "aim", figure: 20 },
      {
        words: "≤ 20 ms",
        met: lowest <= 20,
      },
    ),
    toRow(
      { name: "Authenticated reads, documents.get", figure: best.document, unit: "requests/s" },
      baseline,
    ),
    toRow(
      { name: `Rated load, ${rate} requests/s, p95`, figure: rated.p95, unit: "ms" },
      { name: "p50", figure: rated.p50 },
      { words: "≤ 200 ms", met: rated.p95 <= 200 },
    ),
    toRow(
      { name: "Rated load, share of errors", figure: errors * 100, unit: "%" },
      { name: "aim", figure: 0.5 },
      { words: "< 0.5 %", met: errors < 0.005 },
    ),
  ];
}

async function writes(bench: Bench, { port }: Alone, { grants }: Requests): Promise<Row[]> {
  const seconds = bench.size(5, 1);
  const perSecond = async (callers: number) => {
    const report = await load({
      port,
      connections: callers,
      seconds,
      rate: null,
      requests: grants,
    });
    if (report.answers !== report.statuses["2xx"]) throw new Error(JSON.stringify(report));
    return report.answers / seconds;
  };
  const best = await alternate(bench.size(3, 1), "more", {
    many: () => perSecond(connections),
    one: () => perSecond(1),
  });
  return [
    toRow(
      { name: "Durable writes over HTTP, 64 callers", figure: best.many, unit: "requests/s" },
      { name: "one caller, one commit each", figure: best.one },
      { words: "≥ 10,000/s", met: best.many >= 10_000 },
    ),
    toRow(
      {
        name: "Durable writes over HTTP, 64 callers against one",
        figure: best.many / best.one,
        unit: "times",
      },
      { name: "one caller", figure: 1 },
      { words: "≥ 4×", met: best.many >= 4 * best.one },
    ),
  ];
}

async function sockets(bench: Bench, { port, process: child, ...server }: Alone): Promise<Row[]> {
  const count = bench.size(idleSockets, 200);
  const before = residentMegabytes(child);
  const open = await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect(port, "127.0.0.1");
      await new Promise((resolve, reject) => socket.once("error", reject).once("connect", resolve));
      // One that says nothing at all is cut; one that was answered may wait for its next request.
      socket.write(server.request("GET", "/health"));
      await new Promise((resolve) => socket.once("data", resolve));
      return socket;
    }),
  );
  await delay(500);
  const grown = residentMegabytes(child) - before;
  for (const socket of open) socket.destroy();
  return [
    toRow(
      { name: `${count} idle sockets`, figure: grown, unit: "MB" },
      { name: "memory before", figure: before },
      { words: "≤ 100 MB", met: grown <= 100 },
    ),
  ];
}

async function whileIndexing(bench: Bench, server: Alone): Promise<Row[]> {
  const folder = bench.temporaryFolder("indexed-meanwhile");
  writeCorpus(folder, bench.size(600, 20), 7);
  await server.ask("POST", "/api/v1/collections", { name: "meanwhile" });
  const started = await server.ask("POST", "/api/v1/collections/meanwhile/sync", {
    path: join(folder),
  });
  const { id } = started["job"] as { id: string };
  const delays: number[] = [];
  for (;;) {
    const { eventLoopDelayMs } = (await server.ask("GET", "/api/v1/system/metrics")) as {
      eventLoopDelayMs: { p99: number | null };
    };
    if (eventLoopDelayMs.p99 !== null) delays.push(eventLoopDelayMs.p99);
    const { state } = (await server.ask("GET", `/api/v1/jobs/${id}`)) as { state: string };
    if (state === "succeeded") break;
    if (state !== "running" && state !== "queued") throw new Error(`indexing ended ${state}`);
    await delay(200);
  }
  const worst = Math.max(...delays);
  return [
    toRow(
      { name: "Event loop's delay while indexing, p99", figure: worst, unit: "ms" },
      { name: "aim", figure: 50 },
      { words: "≤ 50 ms", met: worst <= 50 },
    ),
  ];
}
