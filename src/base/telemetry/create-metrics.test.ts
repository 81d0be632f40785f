import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Histogram, Registry } from "prom-client";
import { afterEach, describe, expect, it } from "vitest";
import { mostSeries } from "./count-series.ts";
import { createMetrics, type Metrics } from "./create-metrics.ts";
import { secondsBuckets } from "./metric-names.ts";

let metrics: Metrics | null = null;
afterEach(() => {
  metrics?.close();
  metrics = null;
});
const open = () => (metrics = createMetrics());

describe("snapshot", () => {
  it("has no counters and no delay before anything was measured", () => {
    const { counters, eventLoopDelayMs, memory, since } = open().snapshot();
    expect(counters).toEqual([]);
    expect(eventLoopDelayMs).toEqual({ p50: null, p99: null, max: null });
    expect(memory.rssBytes).toBeGreaterThan(memory.heapBytes);
    expect(new Date(since).toISOString()).toBe(since);
  });

  it("counts by name and labels", () => {
    const counted = open();
    counted.operation("search.query", "ok", 20);
    counted.operation("search.query", "ok", 500);
    counted.operation("search.query", "input_invalid", 500);
    counted.error("input_invalid");
    counted.embedding("spc_1", "ok");
    counted.embedding("spc_1", "ok");
    counted.embedding("spc_1", "failed");
    counted.jobItem("sync", "done");
    expect(counted.snapshot().counters).toEqual([
      {
        name: "candor_operations_total",
        labels: { operation: "search.query", outcome: "ok" },
        value: 2,
      },
      {
        name: "candor_operations_total",
        labels: { operation: "search.query", outcome: "input_invalid" },
        value: 1,
      },
      { name: "candor_errors_total", labels: { code: "input_invalid" }, value: 1 },
      { name: "candor_embeddings_total", labels: { space: "spc_1", outcome: "ok" }, value: 2 },
      { name: "candor_embeddings_total", labels: { space: "spc_1", outcome: "failed" }, value: 1 },
      { name: "candor_job_items_total", labels: { kind: "sync", outcome: "done" }, value: 1 },
      { name: "candor_operation_seconds_count", labels: { operation: "search.query" }, value: 3 },
      { name: "candor_operation_seconds_sum", labels: { operation: "search.query" }, value: 1.02 },
    ]);
  });

  it("sees a blocked event loop, beyond the sampling interval", async () => {
    const counted = open();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const until = performance.now() + 150;
    while (performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const { p50, p99, max } = counted.snapshot().eventLoopDelayMs;
    // Sampled every 20 ms: at least 150 - 20 - 20 of the block are seen, whatever else the machine does.
    expect(max).toBeGreaterThan(100);
    expect(p99).toBeGreaterThanOrEqual(p50 ?? Number.NaN);
  });
});

describe("labels", () => {
  it("take nothing but the values of their table, also past the compiler", () => {
    const counted = open();
    counted.refused("rate_limit");
    counted.count("candor_spans_total", { outcome: "sent" }, 3);
    counted.count("candor_spans_total", { outcome: "of ada" } as never);
    counted.request({ method: "forged\n", route: "/a", status: 200, milliseconds: 1 });
    expect(counted.snapshot().counters.map(({ labels }) => labels)).toEqual([
      { reason: "rate_limit" },
      { outcome: "sent" },
      { outcome: "other" },
      { method: "other", route: "/a", status: "200" },
    ]);
  });

  it("are bounded in number, and what is folded is counted", async () => {
    const counted = open();
    for (let n = 0; n < mostSeries + 50; n += 1) {
      counted.error(`code${n}`);
      counted.operation(`operation${n}`, "ok", 1);
    }
    counted.error("x".repeat(1000));
    const values = (name: string) =>
      counted.snapshot().counters.filter((counter) => counter.name === name);
    expect(values("candor_errors_total")).toHaveLength(mostSeries + 1);
    expect(values("candor_errors_total").at(-1)).toMatchObject({
      labels: { code: "other" },
      value: 51,
    });
    expect(values("candor_operation_seconds_count")).toHaveLength(mostSeries + 1);
    expect(values("candor_series_folded_total")).toEqual([
      expect.objectContaining({ labels: { metric: "candor_errors_total" }, value: 51 }),
      expect.objectContaining({ labels: { metric: "candor_operations_total" }, value: 50 }),
      expect.objectContaining({ labels: { metric: "candor_operation_seconds" }, value: 50 }),
    ]);
  });
});

describe("what is watched", () => {
  it("is read when somebody asks; what cannot be measured is left out, what fails hides nothing", async () => {
    const counted = open();
    let waiting: number | null = 3;
    counted.watch(() => [{ name: "candor_database_waiting", labels: {}, value: waiting }]);
    counted.watch(() => Promise.reject(new Error("closed")));
    expect(await counted.prometheus()).toContain("candor_database_waiting 3\n");
    waiting = null;
    const text = await counted.prometheus();
    expect(text).not.toContain("candor_database_waiting");
    expect(text).toContain('candor_errors_total{code="defect"}');
    expect(text).toMatch(/^process_open_fds \d+$/m);
  });

  it("counts what is open until it is closed, once", async () => {
    const counted = open();
    const first = counted.opened("stream");
    counted.opened("stream");
    first();
    first();
    expect(await counted.prometheus()).toContain('candor_open{what="stream"} 1\n');
  });

  it("tells what happened lately, operations by the status of their error", () => {
    const counted = open();
    counted.operation("a", "ok", 10);
    counted.operation("a", "not_found", 10);
    counted.operation("a", "disk_full", 10);
    counted.request({ method: "GET", route: "/a", status: 500, milliseconds: 5 });
    counted.request({ method: "GET", route: "/stream", status: 200, milliseconds: null });
    const { requests, operations } = counted.window();
    expect(operations["1m"]).toMatchObject({ count: 3, errors: 1, latencyMs: { p50: 10 } });
    expect(requests["15m"]).toMatchObject({ count: 2, errors: 1, latencyMs: { p99: 5 } });
  });
});

describe("prometheus", () => {
  it("gives the counters, escaped, and the gauges", async () => {
    const counted = open();
    counted.operation("a.b", "ok", 1000);
    counted.error('odd"\n\\code');
    const text = await counted.prometheus();
    expect(text).toContain('candor_operations_total{operation="a.b",outcome="ok"} 1\n');
    expect(text).toContain('candor_errors_total{code="odd\\"\\n\\\\code"} 1\n');
    expect(text).toMatch(/candor_memory_bytes\{kind="resident"\} \d+\n/);
    expect(text).toContain("# TYPE candor_operation_seconds histogram");
    expect(text).not.toMatch(/nan/i);
  });

  it("gives the histogram that prom-client makes of the same observations", async () => {
    const counted = open();
    const registry = new Registry();
    const histogram = new Histogram({
      name: "candor_operation_seconds",
      help: "How long operations took, in seconds.",
      labelNames: ["operation"],
      buckets: [...secondsBuckets],
      registers: [registry],
    });
    for (const [operation, seconds] of [
      ["a", 0],
      ["a", 0.005],
      ["a", 0.0051],
      ["b", 7],
      ["b", 300],
      ["b", 301],
    ] as const) {
      counted.operation(operation, "ok", seconds * 1000);
      histogram.observe({ operation }, seconds);
    }
    const ours = (await counted.prometheus())
      .split("\n\n")
      .find((part) => part.includes("candor_operation_seconds histogram"));
    expect(ours?.trimEnd()).toBe((await registry.metrics()).trimEnd());
  });

  it("is the same when asked twice", async () => {
    const counted = open();
    counted.error("a");
    await counted.prometheus();
    expect(await counted.prometheus()).toContain('candor_errors_total{code="a"} 1\n');
  });

  it("loads its library only when asked, and lets the process end", async () => {
    const room = JSON.stringify(new URL("./index.ts", import.meta.url).href);
    const script = `const { createMetrics } = await import(${room});
      const { createRequire } = await import("node:module");
      const loaded = () => Object.keys(createRequire(import.meta.filename ?? process.cwd() + "/x").cache).some((path) => path.includes("prom-client"));
      const metrics = createMetrics(); metrics.snapshot();
      const before = loaded(); await metrics.prometheus(); console.log(before, loaded());`;
    const { stdout } = await promisify(execFile)(process.execPath, [
      "--input-type=module",
      "-e",
      script,
    ]);
    expect(stdout.trim()).toBe("false true");
  });
});
