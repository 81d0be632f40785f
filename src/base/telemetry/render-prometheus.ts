import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { CounterValue, Durations } from "./count-series.ts";
import {
  countedMetrics,
  durationMetrics,
  type DurationName,
  eventMetrics,
  secondsBuckets,
  watchedMetrics,
} from "./metric-names.ts";
import type { Reading } from "./process-readings.ts";

/** Everything counted and read in Prometheus' text format, through a registry of its own. What could not be measured is left out. */
export async function renderPrometheus(measured: {
  readonly counters: readonly CounterValue[];
  readonly durations: ReadonlyMap<DurationName, readonly Durations[]>;
  readonly readings: readonly Reading[];
}): Promise<string> {
  const registry = new Registry();
  const registers = [registry];
  const definitions = { ...countedMetrics, ...eventMetrics, ...watchedMetrics };
  const values = Map.groupBy([...measured.counters, ...measured.readings], ({ name }) => name);
  for (const [name, { type, help, labels }] of Object.entries(definitions)) {
    // A metric without labels would be shown as 0 before anything was measured.
    const measuredNow = (values.get(name) ?? []).filter(isMeasured);
    if (measuredNow.length === 0) continue;
    const shape = { name, help, labelNames: Object.keys(labels), registers };
    if (type === "counter") {
      const counter = new Counter<string>(shape);
      for (const { labels: own, value } of measuredNow) counter.inc(own, value);
    } else {
      const gauge = new Gauge<string>(shape);
      for (const { labels: own, value } of measuredNow) gauge.set(own, value);
    }
  }
  for (const [name, durations] of measured.durations)
    if (durations.length > 0) addDurations(registry, name, durations);
  return registry.metrics();
}

/**
 * A histogram from counts that exist already. prom-client only observes single values, so the method by which its registry reads a
 * metric is replaced; a test compares the text with that of a histogram that did observe.
 */
function addDurations(
  registry: Registry,
  name: DurationName,
  durations: readonly Durations[],
): void {
  const { help, labels: labelNames } = durationMetrics[name];
  const histogram = new Histogram({
    name,
    help,
    labelNames: [...labelNames],
    buckets: [...secondsBuckets],
    registers: [registry],
  });
  const values = durations.flatMap(({ labels, inBucket, count, sum }) => {
    let below = 0;
    const buckets = secondsBuckets.map((limit, place) => {
      below += inBucket[place] ?? 0;
      return { metricName: `${name}_bucket`, labels: { le: limit, ...labels }, value: below };
    });
    return [
      ...buckets,
      { metricName: `${name}_bucket`, labels: { le: "+Inf", ...labels }, value: count },
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  });
  const read = async () => ({ name, help, type: "histogram", values });
  Object.assign(histogram, { get: read, getForPromString: read });
}

function isMeasured(one: CounterValue | Reading): one is CounterValue {
  return one.value !== null;
}
