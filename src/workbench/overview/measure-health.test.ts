import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { DiskFullError } from "#base/errors/index.ts";
import { judgeDisk } from "./check-health.ts";
import { type HealthProbe, measureHealth, worstOf } from "./measure-health.ts";

const probe = (
  name: string,
  work: HealthProbe["probe"],
  change: Partial<HealthProbe> = {},
): HealthProbe => ({
  name,
  limitMs: 20_000,
  whenLate: "failed",
  probe: work,
  ...change,
});
const fine = async () => ({ state: "ok", detail: "fine" }) as const;

describe("measuring", () => {
  it("tells a probe that throws, one that is late, and harms no other", async () => {
    const told: boolean[] = [];
    const hanging: HealthProbe["probe"] = async (signal) => {
      await wait(600_000, undefined, { signal }).catch(() => told.push(signal.aborted));
      return fine();
    };
    const checks = await measureHealth([
      probe("first", fine),
      probe("broken", async () => Promise.reject(new TypeError("no"))),
      probe("full", async () =>
        Promise.reject(new DiskFullError("full", { nextStep: { text: "free some" } })),
      ),
      probe("late", hanging, { limitMs: 10 }),
      probe("busy", hanging, { limitMs: 10, whenLate: "unknown" }),
      probe("last", fine),
    ]);
    expect(checks).toMatchObject([
      { name: "first", state: "ok", detail: "fine" },
      { name: "broken", state: "failed", detail: "defect: TypeError: no" },
      { name: "full", state: "failed", detail: "disk_full: full", nextStep: { text: "free some" } },
      { name: "late", state: "failed", detail: "no answer within 10 ms" },
      { name: "busy", state: "unknown", detail: "no answer within 10 ms" },
      { name: "last", state: "ok" },
    ]);
    for (const { latencyMs, checkedAt } of checks) {
      expect(latencyMs).toBeGreaterThanOrEqual(0);
      expect(new Date(checkedAt ?? "").toISOString()).toBe(checkedAt);
    }
    await expect.poll(() => told).toEqual([true, true]);
  });

  it("is as bad as the worst part; what is not known says nothing", () => {
    const of = (...states: ("ok" | "degraded" | "failed" | "unknown")[]) =>
      worstOf(
        states.map((state) => ({ name: "x", state, latencyMs: 1, checkedAt: null, detail: "" })),
      );
    expect(of()).toBe("ok");
    expect(of("ok", "unknown")).toBe("ok");
    expect(of("ok", "degraded", "unknown")).toBe("degraded");
    expect(of("degraded", "failed", "ok")).toBe("failed");
  });
});

describe("judging", () => {
  it("free space by its two limits", () => {
    expect(judgeDisk(500_000_000).state).toBe("ok");
    expect(judgeDisk(499_999_999)).toMatchObject({
      state: "degraded",
      nextStep: { text: expect.any(String) },
    });
    expect(judgeDisk(50_000_000).state).toBe("degraded");
    expect(judgeDisk(49_999_999).state).toBe("failed");
  });
});
