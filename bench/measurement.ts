/** One line of the results: a figure of Candor beside a baseline that was measured in the same run. */
export type Row = {
  readonly name: string;
  readonly figure: number;
  readonly unit: string;
  readonly baseline: { readonly name: string; readonly figure: number };
  /** The figure divided by the baseline's. */
  readonly ratio: number;
  /** What was hoped for, in words; null where nothing is promised. */
  readonly aim: string | null;
  /** Whether the aim was met; null without an aim. */
  readonly met: boolean | null;
};

/** What one measurement gives: its lines, how they were taken, and further tables in Markdown. */
export type Measured = {
  readonly rows: readonly Row[];
  readonly method: string;
  readonly details?: string;
};

/** A measured number with its name. */
type Figure = { readonly name: string; readonly figure: number };

/** A line of the results; `aim` says the goal in words and whether it was met. */
export function toRow(
  ours: Figure & { readonly unit: string },
  baseline: Figure,
  aim?: { readonly words: string; readonly met: boolean },
): Row {
  return {
    ...ours,
    baseline,
    ratio: ours.figure / baseline.figure,
    aim: aim?.words ?? null,
    met: aim?.met ?? null,
  };
}

/**
 * Runs the sides one after the other, round after round, so that whatever else the machine does meets all of them.
 * Every side returns its number of one round; the best of each is kept.
 */
export async function alternate<Side extends string>(
  rounds: number,
  better: "less" | "more",
  sides: Readonly<Record<Side, (round: number) => number | Promise<number>>>,
): Promise<Record<Side, number>> {
  const best = {} as Record<Side, number>;
  const choose = better === "less" ? Math.min : Math.max;
  for (let round = 0; round < rounds; round += 1)
    for (const side of Object.keys(sides) as Side[]) {
      const figure = await sides[side](round);
      if (!Number.isFinite(figure)) throw new TypeError(`${side} measured ${figure}`);
      best[side] = side in best ? choose(best[side], figure) : figure;
    }
  return best;
}

/** Milliseconds of every call, one after the other. */
export async function timeEach<Item>(
  items: readonly Item[],
  work: (item: Item) => unknown,
): Promise<number[]> {
  const times: number[] = [];
  for (const item of items) {
    const began = performance.now();
    await work(item);
    times.push(performance.now() - began);
  }
  return times;
}

/** Seconds that `work` takes. */
export async function secondsOf(work: () => unknown): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/** Median and 95th percentile of latencies, in milliseconds. */
type Latency = { readonly p50: number; readonly p95: number };

/** The same alternation for latencies: the lowest p50 and the lowest p95 of each side. */
export async function alternateLatencies<Side extends string>(
  rounds: number,
  sides: Readonly<Record<Side, () => Promise<readonly number[]>>>,
): Promise<Record<Side, Latency>> {
  const best = {} as Record<Side, Latency>;
  for (let round = 0; round < rounds; round += 1)
    for (const side of Object.keys(sides) as Side[]) {
      const times = await sides[side]();
      const before = best[side] ?? { p50: Infinity, p95: Infinity };
      best[side] = {
        p50: Math.min(before.p50, percentile(times, 0.5)),
        p95: Math.min(before.p95, percentile(times, 0.95)),
      };
    }
  return best;
}

/** The value below which `share` of the values lie (nearest rank). */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new TypeError("a percentile needs at least one value");
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
