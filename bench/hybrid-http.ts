import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { readLabelledSet } from "./labelled-sets.ts";
import { alternateLatencies, type Measured, timeEach, toRow } from "./measurement.ts";
import type { Bench } from "./open-bench.ts";
import type { Asked, Timed } from "./query-over-http.ts";

const method =
  "`POST /api/v1/search`, hybrid, 10 hits, with queries of the labelled documents (mostly whole questions, few of them rare terms) one after the other over one " +
  "kept connection, timed in a client process of its own; beside it the same operation called in the server's process. " +
  "Lowest p50 and p95 of five rounds, alternating, after one warm round.";

/** Latency of hybrid search as a client on the same machine sees it. */
export async function hybridHttp(bench: Bench): Promise<Measured> {
  const { url, key } = await bench.served();
  const { collection, chunks } = await bench.generated(bench.size(10_000, 500));
  const bodies = readLabelledSet("documents")
    .queries.slice(0, bench.size(100, 30))
    .map(({ query }) => ({ query, collections: [collection.id], mode: "hybrid", limit: 10 }));
  const client = fork(join(import.meta.dirname, "query-over-http.ts"), { execArgv: [] });
  try {
    const overHttp = () => askClient(client, { url, key, bodies });
    await overHttp();
    const best = await alternateLatencies(bench.size(5, 2), {
      http: overHttp,
      process: () => timeEach(bodies, (body) => bench.run("search.query", body)),
    });
    const at = `${chunks.toLocaleString("en")} chunks`;
    return {
      method,
      rows: [
        toRow(
          { name: `Hybrid over HTTP, ${at}, p50`, figure: best.http.p50, unit: "ms" },
          { name: "the same query in process, p50", figure: best.process.p50 },
          { words: "≤ 8 ms", met: best.http.p50 <= 8 },
        ),
        toRow(
          { name: `Hybrid over HTTP, ${at}, p95`, figure: best.http.p95, unit: "ms" },
          { name: "the same query in process, p95", figure: best.process.p95 },
        ),
      ],
    };
  } finally {
    client.kill();
  }
}

/** The times of one round, or what kept the client from them. */
function askClient(client: ChildProcess, asked: Asked): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    const gone = (code: number | null) => reject(new Error(`the client ended with ${code}`));
    client.once("exit", gone);
    client.once("message", ({ times, error }: Timed) => {
      client.off("exit", gone);
      if (error === null) resolve(times);
      else reject(new Error(error));
    });
    client.send(asked);
  });
}
