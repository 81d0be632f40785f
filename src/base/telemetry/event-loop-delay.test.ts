import { createHistogram } from "node:perf_hooks";
import { expect, it } from "vitest";
import { toDelay } from "./event-loop-delay.ts";

it("is what goes beyond the sampling interval, in milliseconds, and null before the first sample", () => {
  const histogram = createHistogram();
  expect(toDelay(histogram)).toEqual({ p50: null, p99: null, max: null });
  for (let count = 0; count < 98; count += 1) histogram.record(19_500_000);
  histogram.record(70_000_000);
  histogram.record(320_000_000);
  const { p50, p99, max } = toDelay(histogram);
  expect(p50).toBe(0);
  // The histogram keeps three digits.
  expect(p99).toBeCloseTo(50, 0);
  expect(max).toBeCloseTo(300, 0);
});
