import { randomBytes } from "node:crypto";
import { localPrincipal } from "#base/access/index.ts";
import { type Measured, toRow } from "./measurement.ts";
import type { Bench } from "./open-bench.ts";

/** Above this, two sets of times differ for a reason (dudect, Reparaz, Balasch and Verbauwhede 2017). */
const limit = 4.5;

/** Characters that a near guess has in common with the real key: all but some, so that guesses differ from each other. */
const apart = 13;

/**
 * Whether the time of a refusal tells how much of a key was guessed: wrong keys that begin as a real one does against wrong keys
 * that have nothing in common with it, in random order; Welch's t of the two sets of times.
 */
export async function keyTiming(bench: Bench): Promise<Measured> {
  const samples = bench.size(100_000, 2000);
  const { app } = await bench.served();
  const { access } = app;
  const { key } = await access.keys.create(localPrincipal, { name: "timing" });
  const rows = [];
  for (const [name, real] of [
    ["an API key", key],
    ["the local key", access.localKey],
  ] as const) {
    // All are made before the first is timed, and in the same way: making one must not show in the time of refusing it.
    const guesses = Array.from({ length: samples + 2000 }, () => toGuess(real));
    const times = { near: [] as number[], far: [] as number[] };
    for (const [place, { kind, bearer }] of guesses.entries()) {
      const began = process.hrtime.bigint();
      await access.authenticate({ bearer }).catch(ignoreRefusal);
      const took = Number(process.hrtime.bigint() - began);
      if (place >= 2000) times[kind].push(took);
    }
    const t = Math.max(...[1, 0.99, 0.9].map((share) => Math.abs(welch(times, share))));
    rows.push(
      toRow(
        { name: `Welch t of refusing ${name}`, figure: t, unit: "" },
        { name: "limit of dudect", figure: limit },
        { words: `below ${limit}`, met: t < limit },
      ),
    );
  }
  return {
    rows,
    method: `${samples} refusals each, timed in process: wrong keys that agree with a real one but for the last ${apart} characters and random ones, in random order; the largest |t| with all times, the fastest 99 % and the fastest 90 %.`,
  };
}

function toGuess(real: string): { kind: "near" | "far"; bearer: string } {
  const kind = Math.random() < 0.5 ? "near" : "far";
  const random = randomBytes(32).toString("base64url");
  const secret = kind === "near" ? real.slice(-43, -apart) + random.slice(-apart) : random;
  // One flat text, however it was put together.
  return { kind, bearer: Buffer.from(real.slice(0, -43) + secret).toString("latin1") };
}

function ignoreRefusal(thrown: unknown): void {
  if (!(thrown instanceof Error && "code" in thrown && thrown.code === "credential_invalid"))
    throw thrown;
}

/** Welch's t of two sets of times, each below the time under which `share` of both together lie. */
function welch({ near, far }: { near: number[]; far: number[] }, share: number): number {
  const all = [...near, ...far].toSorted((a, b) => a - b);
  const most = all[Math.ceil(all.length * share) - 1] ?? Infinity;
  const [one, other] = [near, far].map((times) => moments(times.filter((time) => time <= most)));
  if (!one || !other) throw new TypeError("two sets are compared");
  return (one.mean - other.mean) / Math.sqrt(one.variance / one.n + other.variance / other.n);
}

function moments(times: readonly number[]) {
  const n = times.length;
  const mean = times.reduce((sum, time) => sum + time, 0) / n;
  const variance = times.reduce((sum, time) => sum + (time - mean) ** 2, 0) / (n - 1);
  return { n, mean, variance };
}
