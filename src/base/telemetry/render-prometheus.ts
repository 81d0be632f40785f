import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Durations, MetricsSnapshot } from "./create-metrics.ts";
import { metricNames, secondsBuckets, type MetricName } from "./metric-names.ts";

/** Everything counted so far in Prometheus' text format, through a registry of its own. */
export async function renderPrometheus(counted: {
  readonly snapshot: MetricsSnapshot;
  readonly durations: ReadonlyMap<string, Durations>;
}): Promise<string> {
  const { snapshot, durations } = counted;
  const registry = new Registry();
  const registers = [registry];
  for (const name of Object.keys(metricNames) as MetricName[]) {
    const { help, labels } = metricNames[name];
    const counter = new Counter<string>({ name, help, labelNames: labels, registers });
    for (const entry of snapshot.counters)
      if (entry.name === name) counter.inc(entry.labels, entry.value);
  }
  addDurations(registry, durations);
  const memory = new Gauge({
    name: "candor_memory_bytes",
    help: "Memory of the process: resident, and used by the JavaScript heap.",
    labelNames: ["kind"],
    registers,
  });
  memory.set({ kind: "resident" }, snapshot.memory.rssBytes);
  memory.set({ kind: "heap" }, snapshot.memory.heapBytes);
  const delay = new Gauge({
    name: "candor_event_loop_delay_seconds",
    help: "Delay of the event loop since the start.",
    labelNames: ["quantile"],
    registers,
  });
  const { p50, p99, max } = snapshot.eventLoopDelayMs;
  for (const [quantile, milliseconds] of Object.entries({ "0.5": p50, "0.99": p99, "1": max }))
    if (milliseconds !== null) delay.set({ quantile }, milliseconds / 1000);
  return registry.metrics();
}

/**
 * A histogram from counts that exist already. prom-client only observes single values, so the method by which its registry reads a
 * metric is replaced; a test compares the text with that of a histogram that did observe.
 */
function addDurations(registry: Registry, durations: ReadonlyMap<string, Durations>): void {
  const name = "candor_operation_seconds";
  const help = "How long operations took, in seconds.";
  const histogram = new Histogram({
    name,
    help,
    labelNames: ["operation"],
    buckets: [...secondsBuckets],
    registers: [registry],
  });
  const values = [...durations].flatMap(([operation, { inBucket, count, sum }]) => {
    let below = 0;
    const buckets = secondsBuckets.map((limit, place) => {
      below += inBucket[place] ?? 0;
      return { metricName: `${name}_bucket`, labels: { le: limit, operation }, value: below };
    });
    return [
      ...buckets,
      { metricName: `${name}_bucket`, labels: { le: "+Inf", operation }, value: count },
      { metricName: `${name}_sum`, labels: { operation }, value: sum },
      { metricName: `${name}_count`, labels: { operation }, value: count },
    ];
  });
  const read = async () => ({ name, help, type: "histogram", values });
  Object.assign(histogram, { get: read, getForPromString: read });
}
