import { errorCatalogue } from "#base/errors/index.ts";
import {
  type CounterValue,
  createCounters,
  createSeries,
  type Durations,
  observe,
} from "./count-series.ts";
import type { EventLoopDelay } from "./event-loop-delay.ts";
import {
  countedMetrics,
  type CountedName,
  durationMetrics,
  type DurationName,
  httpMethods,
  type LabelsOf,
  type OpenThing,
  type RefusalReason,
  watchedMetrics,
} from "./metric-names.ts";
import { type Reading, watchProcess } from "./process-readings.ts";
import {
  createRollingWindow,
  type RollingWindow,
  type WindowFigures,
  type WindowName,
  windowSeconds,
} from "./rolling-window.ts";

/** The counters since the start, and the process now. Delays are null until the first sample. */
export type MetricsSnapshot = {
  since: string;
  windowSeconds: number;
  counters: CounterValue[];
  memory: { rssBytes: number; heapBytes: number };
  eventLoopDelayMs: EventLoopDelay;
};

/** One HTTP request that ended. */
export type EndedRequest = {
  readonly method: string;
  /** The route's pattern, never the address. */
  readonly route: string;
  readonly status: number;
  /** Null for what goes on as long as the client likes: event streams, WebSockets. */
  readonly milliseconds: number | null;
};

/** Reads values from a room when somebody asks; one that fails is counted in `candor_errors_total` and leaves its values out. */
export type Watch = () => readonly Reading[] | Promise<readonly Reading[]>;

/** What happened to requests and operations lately. */
export type Lately = Readonly<
  Record<"requests" | "operations", Readonly<Record<WindowName, WindowFigures>>>
>;

export type Metrics = {
  /** One HTTP request has ended. */
  request(ended: EndedRequest): void;
  /** One operation has ended; `outcome` is `ok` or the error's code. */
  operation(operation: string, outcome: string, milliseconds: number): void;
  /** One error reached a caller. The same `thrown` counts once, however many doors and rooms it passes. */
  error(code: string, thrown?: object): void;
  /** One text was embedded or could not be. */
  embedding(space: string, outcome: string): void;
  jobItem(kind: string, outcome: string): void;
  jobEnded(kind: string, state: string): void;
  /** A request or a connection was refused before any work was done for it. */
  refused(reason: RefusalReason): void;
  /** Adds to a counter whose labels take nothing but the values in the table of metrics. */
  count<Name extends CountedName>(name: Name, labels: LabelsOf<Name>, by?: number): void;
  /** Something that is open for a while; call the answer when it closes, once or more. */
  opened(what: OpenThing): () => void;
  /** Values to read whenever `prometheus` is asked. */
  watch(read: Watch): void;
  /** Rates and latencies of the last minute, quarter of an hour and hour. */
  window(): Lately;
  snapshot(): MetricsSnapshot;
  /** Everything in Prometheus' text format 0.0.4. */
  prometheus(): Promise<string>;
  /** Ends the sampling of the event loop. */
  close(): void;
};

/** Counts in plain maps, for prom-client takes tens of milliseconds and some 20 MB: it is loaded when somebody first asks for its format. */
export function createMetrics(): Metrics {
  const since = new Date().toISOString();
  const began = performance.now();
  const counters = createCounters();
  const durations = createDurations((metric) =>
    counters.add("candor_series_folded_total", [metric]),
  );
  const lately = { requests: createRollingWindow(), operations: createRollingWindow() };
  const machine = watchProcess();
  const open = createOpenCounts();
  const watches: Watch[] = [machine.read, open.read, () => toWindowReadings(toLately(lately))];
  const told = new WeakSet<object>();
  const error = (code: string, thrown?: object) => {
    if (thrown !== undefined && told.has(thrown)) return;
    if (thrown !== undefined) told.add(thrown);
    counters.add("candor_errors_total", [code]);
  };
  const snapshot = (): MetricsSnapshot => {
    const { rss, heapUsed } = process.memoryUsage();
    return {
      since,
      windowSeconds: (performance.now() - began) / 1000,
      counters: [...counters.list(), ...durations.sums()],
      memory: { rssBytes: rss, heapBytes: heapUsed },
      eventLoopDelayMs: machine.delay(),
    };
  };
  return {
    request: ({ method, route, status, milliseconds }) => {
      const known = (httpMethods as readonly string[]).includes(method) ? method : "other";
      const labels = [known, route, String(status)];
      counters.add("candor_http_requests_total", labels);
      if (milliseconds !== null)
        durations.add("candor_http_request_seconds", labels, milliseconds / 1000);
      lately.requests.add(milliseconds, status >= 500);
    },
    operation: (operation, outcome, milliseconds) => {
      counters.add("candor_operations_total", [operation, outcome]);
      durations.add("candor_operation_seconds", [operation], milliseconds / 1000);
      const failed = outcome !== "ok" && (errorCatalogue.get(outcome)?.status ?? 500) >= 500;
      lately.operations.add(milliseconds, failed);
    },
    error,
    embedding: (space, outcome) => counters.add("candor_embeddings_total", [space, outcome]),
    jobItem: (kind, outcome) => counters.add("candor_job_items_total", [kind, outcome]),
    jobEnded: (kind, state) => counters.add("candor_jobs_ended_total", [kind, state]),
    refused: (reason) => counters.add("candor_refusals_total", [reason]),
    count: (name, labels, by = 1) => counters.add(name, closedValues(name, labels), by),
    opened: open.opened,
    watch: (read) => void watches.push(read),
    window: () => toLately(lately),
    snapshot,
    prometheus: async () => {
      const { renderPrometheus } = await import("./render-prometheus.ts");
      const readings = await readAll(watches, () => error("defect"));
      return renderPrometheus({ counters: counters.list(), durations: durations.all(), readings });
    },
    close: machine.stop,
  };
}

/** The values in the order of the table; one that is not in it can only come past the compiler. */
function closedValues(name: CountedName, labels: object): string[] {
  return Object.entries(countedMetrics[name].labels).map(([label, values]) => {
    const value: unknown = Reflect.get(labels, label);
    return (values as readonly unknown[]).includes(value) ? String(value) : "other";
  });
}

function createDurations(onFolded: (metric: string) => void) {
  const series = createSeries<Durations>(onFolded);
  const names = Object.keys(durationMetrics) as DurationName[];
  const all = (name: DurationName) => series.of(name);
  return {
    add: (name: DurationName, values: readonly string[], seconds: number) => {
      const make = (kept: readonly string[]): Durations => {
        const labels = durationMetrics[name].labels.map((label, at) => [label, kept[at] ?? ""]);
        return { labels: Object.fromEntries(labels), inBucket: [], count: 0, sum: 0 };
      };
      observe(series.find(name, values, make), seconds);
    },
    all: () => new Map(names.map((name) => [name, all(name)])),
    sums: (): CounterValue[] =>
      all("candor_operation_seconds").flatMap(({ labels, count, sum }) => [
        { name: "candor_operation_seconds_count", labels, value: count },
        { name: "candor_operation_seconds_sum", labels, value: sum },
      ]),
  };
}

function createOpenCounts() {
  const open: Record<OpenThing, number> = { connection: 0, request: 0, stream: 0, socket: 0 };
  return {
    opened: (what: OpenThing) => {
      open[what] += 1;
      let closed = false;
      return () => {
        if (!closed) open[what] -= 1;
        closed = true;
      };
    },
    read: (): Reading[] =>
      watchedMetrics.candor_open.labels.what.map((what) => ({
        name: "candor_open",
        labels: { what },
        value: open[what],
      })),
  };
}

/** What every watch reads. One room that cannot be read must not hide all others. */
async function readAll(watches: readonly Watch[], onFault: () => void): Promise<Reading[]> {
  const read = await Promise.allSettled(watches.map(async (watch) => watch()));
  return read.flatMap((one) => {
    if (one.status === "fulfilled") return one.value;
    onFault();
    return [];
  });
}

function toLately(windows: Readonly<Record<keyof Lately, RollingWindow>>): Lately {
  const names = Object.keys(windowSeconds) as WindowName[];
  const of = (window: RollingWindow) =>
    Object.fromEntries(names.map((name) => [name, window.figures(name)])) as Record<
      WindowName,
      WindowFigures
    >;
  return { requests: of(windows.requests), operations: of(windows.operations) };
}

function toWindowReadings(lately: Lately): Reading[] {
  const seconds = (milliseconds: number | null) =>
    milliseconds === null ? null : milliseconds / 1000;
  const covered = Object.entries(lately.requests).map(([window, figures]): Reading => ({
    name: "candor_window_seconds",
    labels: { window },
    value: figures.seconds,
  }));
  const figures = Object.entries(lately).flatMap(([of, windows]) =>
    Object.entries(windows).flatMap(([window, { perMinute, errorRatio, latencyMs }]): Reading[] => [
      { name: "candor_window_per_minute", labels: { of, window }, value: perMinute },
      { name: "candor_window_error_ratio", labels: { of, window }, value: errorRatio },
      ...Object.entries({ "0.5": latencyMs.p50, "0.95": latencyMs.p95, "0.99": latencyMs.p99 }).map(
        ([quantile, value]): Reading => ({
          name: "candor_window_latency_seconds",
          labels: { of, window, quantile },
          value: seconds(value),
        }),
      ),
    ]),
  );
  return [...covered, ...figures];
}
