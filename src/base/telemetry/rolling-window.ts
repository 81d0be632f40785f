/** What happened in a span of time. Rates are null while there is nothing to divide by. */
export type WindowFigures = {
  /** Seconds that are really covered: fewer than asked after the start. */
  readonly seconds: number;
  readonly count: number;
  /** Null in the first five seconds, which would say nothing about a minute. */
  readonly perMinute: number | null;
  /** Those that ended with a status of 500 or above. */
  readonly errors: number;
  readonly errorRatio: number | null;
  /** Never below the true percentile of the measured ones, at most 15 percent above. */
  readonly latencyMs: {
    readonly p50: number | null;
    readonly p95: number | null;
    readonly p99: number | null;
  };
};

/** The windows that are kept, by name, in seconds. */
export const windowSeconds = { "1m": 60, "15m": 900, "1h": 3600 } as const;
export type WindowName = keyof typeof windowSeconds;

const bucketSeconds = 5;
const bucketCount = windowSeconds["1h"] / bucketSeconds;

/** Latencies are counted by their size: each class ends 15 percent above the one before, from 0.1 ms to about 8 minutes. */
const smallestMs = 0.1;
const growth = 1.15;
const classCount = 112;

type Bucket = {
  /** Which five seconds since the start these are. */
  readonly number: number;
  count: number;
  errors: number;
  measured: number;
  longestMs: number;
  readonly classes: Uint32Array;
};

export type RollingWindow = {
  /** One more that ended now; `milliseconds` is null for what has no latency worth comparing. */
  add(milliseconds: number | null, failed: boolean): void;
  figures(window: WindowName): WindowFigures;
};

/** Counts of the last hour in buckets of five seconds. `now` gives monotonic milliseconds, so that a clock that jumps changes nothing. */
export function createRollingWindow(now: () => number = () => performance.now()): RollingWindow {
  const began = now();
  const buckets = new Map<number, Bucket>();
  const numberNow = () => Math.floor((now() - began) / 1000 / bucketSeconds);
  const forgetOld = (newest: number) => {
    // In the order of their making, so the oldest stand first.
    for (const number of buckets.keys()) {
      if (number > newest - bucketCount) break;
      buckets.delete(number);
    }
  };
  return {
    add: (milliseconds, failed) => {
      const number = numberNow();
      let bucket = buckets.get(number);
      if (bucket === undefined) {
        forgetOld(number);
        bucket = emptyBucket(number);
        buckets.set(number, bucket);
      }
      bucket.count += 1;
      if (failed) bucket.errors += 1;
      if (milliseconds === null) return;
      const place = classOf(milliseconds);
      bucket.measured += 1;
      bucket.longestMs = Math.max(bucket.longestMs, milliseconds);
      bucket.classes[place] = (bucket.classes[place] ?? 0) + 1;
    },
    figures: (window) => {
      const newest = numberNow();
      const oldest = Math.max(0, newest - windowSeconds[window] / bucketSeconds + 1);
      const seconds = (now() - began) / 1000 - oldest * bucketSeconds;
      const inside = [...buckets.values()].filter(({ number }) => number >= oldest);
      return toFigures(inside, seconds);
    },
  };
}

function emptyBucket(number: number): Bucket {
  return {
    number,
    count: 0,
    errors: 0,
    measured: 0,
    longestMs: 0,
    classes: new Uint32Array(classCount),
  };
}

function classOf(milliseconds: number): number {
  if (milliseconds <= smallestMs) return 0;
  const place = Math.ceil(Math.log(milliseconds / smallestMs) / Math.log(growth));
  return Math.min(place, classCount - 1);
}

function toFigures(buckets: readonly Bucket[], seconds: number): WindowFigures {
  const sum = (of: (bucket: Bucket) => number) =>
    buckets.reduce((total, bucket) => total + of(bucket), 0);
  const count = sum((bucket) => bucket.count);
  const errors = sum((bucket) => bucket.errors);
  const measured = sum((bucket) => bucket.measured);
  const longestMs = Math.max(0, ...buckets.map((bucket) => bucket.longestMs));
  const classes = new Float64Array(classCount);
  for (const bucket of buckets)
    for (const [place, size] of bucket.classes.entries())
      classes[place] = (classes[place] ?? 0) + size;
  const percentile = (share: number): number | null => {
    if (measured === 0) return null;
    const wanted = Math.ceil(share * measured);
    let passed = 0;
    for (const [place, size] of classes.entries()) {
      passed += size;
      // The last class has no end of its own; the longest that was seen ends every one.
      if (passed >= wanted)
        return place === classCount - 1
          ? longestMs
          : Math.min(smallestMs * growth ** place, longestMs);
    }
    return longestMs;
  };
  return {
    seconds,
    count,
    perMinute: seconds < bucketSeconds ? null : (count * 60) / seconds,
    errors,
    errorRatio: count === 0 ? null : errors / count,
    latencyMs: { p50: percentile(0.5), p95: percentile(0.95), p99: percentile(0.99) },
  };
}
