import { countedMetrics, type CounterName, eventMetrics, secondsBuckets } from "./metric-names.ts";

/** One counter's value for one set of labels. */
export type CounterValue = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};

/** Durations of one set of labels: how many fell into each bucket (the last is everything longer), and their sum in seconds. */
export type Durations = {
  readonly labels: Readonly<Record<string, string>>;
  readonly inBucket: number[];
  count: number;
  sum: number;
};

/**
 * Most sets of labels per metric. Values come from Candor's own tables (about 100 routes with a handful of statuses each), so this is
 * never reached; it is what keeps memory bounded should a caller's text ever become a label by mistake.
 */
export const mostSeries = 2000;

/** Longest label value, in UTF-16 characters: the longest route pattern has half of it. */
const longestValue = 120;

const definitions = { ...countedMetrics, ...eventMetrics };

/** Values by metric and labels, never more than `mostSeries` per metric; what goes beyond is counted under `other`. */
export function createSeries<Value>(onFolded: (metric: string) => void) {
  const metrics = new Map<string, Map<string, Value>>();
  const find = (
    metric: string,
    values: readonly string[],
    make: (values: readonly string[]) => Value,
  ): Value => {
    const known = metrics.get(metric) ?? new Map<string, Value>();
    metrics.set(metric, known);
    const key = JSON.stringify(values);
    const found = known.get(key);
    if (found !== undefined) return found;
    if (known.size >= mostSeries || values.some((value) => value.length > longestValue)) {
      onFolded(metric);
      return keep(
        known,
        values.map(() => "other"),
        make,
      );
    }
    return keep(known, values, make);
  };
  const keep = (
    known: Map<string, Value>,
    values: readonly string[],
    make: (values: readonly string[]) => Value,
  ): Value => {
    const key = JSON.stringify(values);
    const value = known.get(key) ?? make(values);
    known.set(key, value);
    return value;
  };
  return {
    find,
    of: (metric: string): readonly Value[] => [...(metrics.get(metric)?.values() ?? [])],
  };
}

type Counter = { readonly name: CounterName; readonly values: readonly string[]; value: number };

/** Counters with bounded labels. */
export function createCounters() {
  const add = (name: CounterName, values: readonly string[], by = 1): void => {
    series.find(name, values, (kept) => ({ name, values: kept, value: 0 })).value += by;
  };
  const series = createSeries<Counter>((metric) => add("candor_series_folded_total", [metric]));
  const names = Object.keys(definitions) as CounterName[];
  return {
    add,
    list: (): CounterValue[] => names.flatMap((name) => series.of(name).map(toCounterValue)),
  };
}

function toCounterValue({ name, values, value }: Counter): CounterValue {
  const labels = Object.keys(definitions[name].labels);
  return {
    name,
    labels: Object.fromEntries(labels.map((label, place) => [label, values[place] ?? ""])),
    value,
  };
}

/** Adds one duration, in seconds. */
export function observe(durations: Durations, seconds: number): void {
  const bound = secondsBuckets.findIndex((limit) => seconds <= limit);
  const bucket = bound < 0 ? secondsBuckets.length : bound;
  durations.inBucket[bucket] = (durations.inBucket[bucket] ?? 0) + 1;
  durations.count += 1;
  durations.sum += seconds;
}
