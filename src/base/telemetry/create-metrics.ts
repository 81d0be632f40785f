import { startDelaySampling, type EventLoopDelay } from "./event-loop-delay.ts";
import { metricNames, secondsBuckets, type MetricName } from "./metric-names.ts";

/** One counter's value for one set of labels. */
export type CounterValue = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};

/** The counters since the start, and the process now. Delays are null until the first sample. */
export type MetricsSnapshot = {
  since: string;
  windowSeconds: number;
  counters: CounterValue[];
  memory: { rssBytes: number; heapBytes: number };
  eventLoopDelayMs: EventLoopDelay;
};

/** Durations of one operation: how many fell into each bucket (the last is everything longer), and their sum in seconds. */
export type Durations = { readonly inBucket: number[]; count: number; sum: number };

export type Metrics = {
  /** One operation has ended; `outcome` is `ok` or the error's code. */
  operation(operation: string, outcome: string, milliseconds: number): void;
  error(code: string): void;
  /** One text was embedded or could not be. */
  embedding(space: string, outcome: string): void;
  jobItem(kind: string, outcome: string): void;
  snapshot(): MetricsSnapshot;
  /** The same in Prometheus' text format 0.0.4. */
  prometheus(): Promise<string>;
  /** Ends the sampling of the event loop. */
  close(): void;
};

/** Counts in plain maps, for prom-client takes tens of milliseconds and some 20 MB: it is loaded when somebody first asks for its format. */
export function createMetrics(): Metrics {
  const since = new Date().toISOString();
  const began = performance.now();
  const counters = new Map<string, { name: MetricName; labels: string[]; value: number }>();
  const durations = new Map<string, Durations>();
  const delay = startDelaySampling();
  const add = (name: MetricName, labels: string[]) => {
    const key = JSON.stringify([name, ...labels]);
    const counter = counters.get(key) ?? { name, labels, value: 0 };
    counter.value += 1;
    counters.set(key, counter);
  };
  const snapshot = (): MetricsSnapshot => {
    const { rss, heapUsed } = process.memoryUsage();
    return {
      since,
      windowSeconds: (performance.now() - began) / 1000,
      counters: [
        ...[...counters.values()].map(toCounterValue),
        ...[...durations].flatMap(([operation, { count, sum }]) => [
          { name: "candor_operation_seconds_count", labels: { operation }, value: count },
          { name: "candor_operation_seconds_sum", labels: { operation }, value: sum },
        ]),
      ],
      memory: { rssBytes: rss, heapBytes: heapUsed },
      eventLoopDelayMs: delay.read(),
    };
  };
  return {
    operation: (operation, outcome, milliseconds) => {
      add("candor_operations_total", [operation, outcome]);
      const known = durations.get(operation) ?? { inBucket: [], count: 0, sum: 0 };
      durations.set(operation, observe(known, milliseconds / 1000));
    },
    error: (code) => add("candor_errors_total", [code]),
    embedding: (space, outcome) => add("candor_embeddings_total", [space, outcome]),
    jobItem: (kind, outcome) => add("candor_job_items_total", [kind, outcome]),
    snapshot,
    prometheus: async () => {
      const { renderPrometheus } = await import("./render-prometheus.ts");
      return renderPrometheus({ snapshot: snapshot(), durations });
    },
    close: delay.stop,
  };
}

function observe(durations: Durations, seconds: number): Durations {
  const bound = secondsBuckets.findIndex((limit) => seconds <= limit);
  const bucket = bound < 0 ? secondsBuckets.length : bound;
  durations.inBucket[bucket] = (durations.inBucket[bucket] ?? 0) + 1;
  durations.count += 1;
  durations.sum += seconds;
  return durations;
}

function toCounterValue(counter: {
  name: MetricName;
  labels: string[];
  value: number;
}): CounterValue {
  const names = metricNames[counter.name].labels;
  const labels = Object.fromEntries(
    names.map((name, place) => [name, counter.labels[place] ?? ""]),
  );
  return { name: counter.name, labels, value: counter.value };
}
