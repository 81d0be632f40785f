import { monitorEventLoopDelay, type Histogram } from "node:perf_hooks";

/** Milliseconds by which the event loop was late since sampling began; null until the first sample. */
export type EventLoopDelay = { p50: number | null; p99: number | null; max: number | null };

/** How often the delay is sampled, in milliseconds. */
const sampleMs = 20;

/** Samples the delay of this thread's event loop until it is stopped. It keeps no process alive. */
export function startDelaySampling(): {
  readonly read: () => EventLoopDelay;
  readonly stop: () => void;
} {
  const histogram = monitorEventLoopDelay({ resolution: sampleMs });
  histogram.enable();
  return { read: () => toDelay(histogram), stop: () => void histogram.disable() };
}

/** The sampler measures the whole time between two samples in nanoseconds; the delay is what goes beyond the interval. */
export function toDelay(histogram: Histogram): EventLoopDelay {
  if (histogram.count === 0) return { p50: null, p99: null, max: null };
  const beyond = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - sampleMs);
  return {
    p50: beyond(histogram.percentile(50)),
    p99: beyond(histogram.percentile(99)),
    max: beyond(histogram.max),
  };
}
