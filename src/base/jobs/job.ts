import type { JobItemRow, JobRow } from "#base/database/index.ts";
import type { Problem } from "#base/errors/index.ts";

export const jobStates = [
  "queued",
  "running",
  "interrupted",
  "succeeded",
  "partial",
  "failed",
  "cancelled",
] as const;
export type JobState = (typeof jobStates)[number];

/** States in which nothing happens any more until somebody resumes. */
export const endedStates: readonly JobState[] = ["succeeded", "partial", "failed", "cancelled"];

/** A job as every door shows it; all numbers are counted from its items. */
export type Job = {
  id: string;
  kind: string;
  state: JobState;
  owner: string;
  target: { type: string; id: string };
  phase: string | null;
  unit: string;
  total: number | null;
  done: number;
  failed: number;
  skipped: number;
  /** Items per second of this attempt; null until measured and once it has ended. */
  rate: number | null;
  etaSeconds: number | null;
  attempt: number;
  resumable: boolean;
  error: Problem | null;
  result: unknown;
  sequence: number;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
};

export type JobItem = {
  item: string;
  outcome: "done" | "failed" | "skipped";
  reason: string | null;
  ledgerId: string | null;
  attempt: number;
};

export function toJobItem(row: JobItemRow): JobItem {
  return {
    item: row.item,
    outcome: row.outcome,
    reason: row.reason,
    ledgerId: row.ledger_id,
    attempt: row.attempt,
  };
}

/** What the running process knows beyond the row. */
export type LiveCounts = {
  phase: string | null;
  total: number | null;
  done: number;
  failed: number;
  skipped: number;
  /** Items finished in this attempt. */
  finished: number;
  /** Monotonic milliseconds at which this attempt began. */
  began: number;
  sequence: number;
};

/** The job of `row`, with the counts of the running attempt where there is one. */
export function toJob(row: JobRow, live?: LiveCounts): Job {
  const counts = live ?? row;
  const seconds = live ? (performance.now() - live.began) / 1000 : 0;
  const running = row.state === "running";
  const rate = running && live && live.finished > 0 && seconds > 0 ? live.finished / seconds : null;
  const open =
    counts.total === null ? null : counts.total - counts.done - counts.failed - counts.skipped;
  return {
    id: row.id,
    kind: row.kind,
    state: row.state as JobState,
    owner: row.owner,
    target: { type: row.target_type, id: row.target_id },
    phase: counts.phase,
    unit: row.unit,
    total: counts.total,
    done: counts.done,
    failed: counts.failed,
    skipped: counts.skipped,
    rate: rate === null ? null : Math.round(rate * 100) / 100,
    etaSeconds:
      rate === null || open === null || open < 0 ? null : Math.ceil(open / Math.max(rate, 1e-9)),
    attempt: row.attempt,
    resumable: ["interrupted", "failed", "partial", "cancelled"].includes(row.state),
    error: row.error === null ? null : (JSON.parse(row.error) as Problem),
    result: row.result === null ? null : (JSON.parse(row.result) as unknown),
    sequence: counts.sequence,
    createdAt: new Date(row.created_at).toISOString(),
    startedAt: row.started_at === null ? null : new Date(row.started_at).toISOString(),
    finishedAt: row.finished_at === null ? null : new Date(row.finished_at).toISOString(),
  };
}
