import { setTimeout as wait } from "node:timers/promises";
import { type NextStep, toCandorError } from "#base/errors/index.ts";

export const healthStates = ["ok", "degraded", "failed"] as const;
export type HealthState = (typeof healthStates)[number];

/** What a probe found. `detail` is one sentence for people. */
export type Finding = {
  readonly state: HealthState | "unknown";
  readonly detail: string;
  readonly nextStep?: NextStep;
};

/** One part that can be probed. `whenLate`: what an answer that does not come in time says about the part. */
export type HealthProbe = {
  readonly name: string;
  readonly limitMs: number;
  readonly whenLate: "failed" | "unknown";
  probe(signal: AbortSignal): Promise<Finding>;
};

/** One measured part; `latencyMs` is what the probe took. */
export type HealthCheck = {
  name: string;
  state: Finding["state"];
  latencyMs: number | null;
  checkedAt: string | null;
  detail: string;
  nextStep?: NextStep;
};

/** Runs every probe now, all at once: one that throws or is late is told with its reason and harms no other. */
export function measureHealth(probes: readonly HealthProbe[]): Promise<HealthCheck[]> {
  return Promise.all(probes.map(measure));
}

/** The worst of the states; `unknown` says nothing and counts as nothing. */
export function worstOf(checks: readonly HealthCheck[]): HealthState {
  if (checks.some(({ state }) => state === "failed")) return "failed";
  return checks.some(({ state }) => state === "degraded") ? "degraded" : "ok";
}

async function measure(probe: HealthProbe): Promise<HealthCheck> {
  const began = performance.now();
  const finding = await inTime(probe);
  return {
    name: probe.name,
    latencyMs: Math.round((performance.now() - began) * 10) / 10,
    checkedAt: new Date().toISOString(),
    ...finding,
  };
}

async function inTime(probe: HealthProbe): Promise<Finding> {
  const late = new AbortController();
  const over = new AbortController();
  try {
    return await Promise.race([
      probe.probe(late.signal),
      wait(probe.limitMs, undefined, { signal: over.signal }).then((): Finding => {
        late.abort();
        return { state: probe.whenLate, detail: `no answer within ${probe.limitMs} ms` };
      }),
    ]);
  } catch (thrown) {
    const { code, message, nextStep } = toCandorError(thrown);
    return {
      state: "failed",
      detail: `${code}: ${message}`,
      ...(nextStep === undefined ? {} : { nextStep }),
    };
  } finally {
    over.abort();
  }
}
