import fastCheck from "fast-check";
import { describe, expect, it } from "vitest";
import { createRollingWindow } from "./rolling-window.ts";

function open() {
  let now = 1_000_000;
  const window = createRollingWindow(() => now);
  return { window, pass: (seconds: number) => void (now += seconds * 1000) };
}

describe("a rolling window", () => {
  it("says nothing that was not measured", () => {
    const { window } = open();
    expect(window.figures("1m")).toEqual({
      seconds: 0,
      count: 0,
      perMinute: null,
      errors: 0,
      errorRatio: null,
      latencyMs: { p50: null, p95: null, p99: null },
    });
    window.add(null, false);
    expect(window.figures("1m")).toMatchObject({
      count: 1,
      perMinute: null,
      errorRatio: 0,
      latencyMs: { p50: null },
    });
  });

  it("divides by the time that it covers, not by its name", () => {
    const { window, pass } = open();
    for (let n = 0; n < 20; n += 1) window.add(10, n < 5);
    pass(10);
    expect(window.figures("1h")).toMatchObject({
      seconds: 10,
      count: 20,
      perMinute: 120,
      errors: 5,
      errorRatio: 0.25,
    });
  });

  it("forgets what is older than it, within five seconds", () => {
    const { window, pass } = open();
    window.add(10, true);
    pass(54);
    expect(window.figures("1m").count).toBe(1);
    pass(6);
    expect(window.figures("1m")).toMatchObject({ count: 0, errorRatio: null });
    expect(window.figures("1m").seconds).toBeLessThanOrEqual(60);
    expect(window.figures("1m").seconds).toBeGreaterThan(54);
    expect(window.figures("15m").count).toBe(1);
    pass(840);
    expect(window.figures("15m").count).toBe(0);
    expect(window.figures("1h").count).toBe(1);
    pass(3600);
    window.add(1, false);
    expect(window.figures("1h")).toMatchObject({ count: 1, errors: 0, latencyMs: { p50: 1 } });
  });

  it("keeps a constant rate constant, wherever the buckets lie", () => {
    fastCheck.assert(
      fastCheck.property(fastCheck.integer({ min: 60, max: 5000 }), (seconds) => {
        const { window, pass } = open();
        for (let second = 0; second < seconds; second += 1) {
          pass(0.5);
          window.add(5, false);
          pass(0.5);
        }
        const { perMinute } = window.figures("1m");
        expect(perMinute).toBeGreaterThan(54);
        expect(perMinute).toBeLessThan(66);
      }),
      { numRuns: 20 },
    );
  });

  it("gives percentiles that are never below the true ones and at most 15 percent above", () => {
    const latencies = fastCheck.array(fastCheck.double({ min: 0.2, max: 400_000, noNaN: true }), {
      minLength: 1,
      maxLength: 300,
    });
    fastCheck.assert(
      fastCheck.property(latencies, (given) => {
        const { window } = open();
        for (const one of given) window.add(one, false);
        const sorted = given.toSorted((a, b) => a - b);
        const { p50, p95, p99 } = window.figures("1m").latencyMs;
        for (const [share, told] of [
          [0.5, p50],
          [0.95, p95],
          [0.99, p99],
        ] as const) {
          const exact = sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
          expect(told).toBeGreaterThanOrEqual(exact * (1 - 1e-9));
          expect(told).toBeLessThanOrEqual(exact * 1.15 * (1 + 1e-9));
        }
      }),
    );
  });
});
