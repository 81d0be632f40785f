import type { Database, JobRow, WriteHandle } from "#base/database/index.ts";
import {
  CancelledError,
  type CandorError,
  JobThresholdError,
  redactText,
  toCandorError,
  toProblem,
} from "#base/errors/index.ts";
import type { EventBus } from "#base/events/index.ts";
import type { Ledger } from "#base/ledger/index.ts";
import type { Metrics } from "#base/telemetry/index.ts";
import { type JobItem, type JobState, type LiveCounts, toJob, toJobItem } from "./job.ts";
import { withRetry } from "./retry.ts";

/** A kind of job: what its input is, what its items are called, and the work. */
export type JobKind<Input> = {
  readonly kind: string;
  /** What is counted: `files`, `documents`. */
  readonly unit: string;
  run(context: JobContext<Input>): Promise<unknown>;
};

export type JobContext<Input> = {
  readonly id: string;
  readonly owner: string;
  readonly input: Input;
  readonly attempt: number;
  readonly signal: AbortSignal;
  /** The failed items to run again, when only those were asked for. */
  readonly only: ReadonlySet<string> | null;
  /** Items that earlier attempts finished; their effects are there. */
  readonly finishedBefore: () => Promise<Map<string, JobItem>>;
  readonly enter: (phase: string) => void;
  readonly expect: (total: number | null) => void;
  /** Runs `effect` and records the item's outcome in the same transaction; the job counts it after COMMIT. */
  readonly finish: <T>(
    item: string,
    outcome: { outcome: "done" | "skipped"; reason?: string | null },
    effect: (handle: WriteHandle) => Promise<T>,
  ) => Promise<T>;
  /** Records a failed item: ledger entry first, then the outcome that names it. */
  readonly fail: (item: string, error: unknown) => Promise<string>;
};

export type RunDependencies = {
  database: Database;
  ledger: Ledger;
  events: EventBus;
  metrics: Metrics;
};

/** How often running counts are written to the row and told to subscribers, in milliseconds. */
const progressEveryMs = 200;

type Outcome = JobItem["outcome"];

type Run = {
  row: JobRow;
  live: LiveCounts;
  dependencies: RunDependencies;
  told: number;
  signal: AbortSignal;
};

export type RunningJob = { live: LiveCounts; ended: Promise<void> };

/** Runs one attempt of a claimed job to its end and stores how it ended. Rejects only when that cannot be stored. */
export function runJob<Input>(
  kind: JobKind<Input>,
  row: JobRow,
  only: ReadonlySet<string> | null,
  signal: AbortSignal,
  dependencies: RunDependencies,
): RunningJob {
  const live: LiveCounts = {
    phase: null,
    total: null,
    done: 0,
    failed: 0,
    skipped: 0,
    finished: 0,
    began: performance.now(),
    sequence: row.sequence,
  };
  const run: Run = { row, live, dependencies, told: 0, signal };
  return { live, ended: attempt(kind, run, only) };
}

async function attempt<Input>(
  kind: JobKind<Input>,
  run: Run,
  only: ReadonlySet<string> | null,
): Promise<void> {
  const { row, dependencies } = run;
  let result: unknown = null;
  let error: CandorError | null = null;
  try {
    await startCounts(run, only);
    tell(run, "job.start");
    result = await kind.run(jobContext<Input>(run, only));
  } catch (thrown) {
    error = toCandorError(thrown);
  }
  const state = endState(run, error);
  if (state === "failed" && !error)
    error = new JobThresholdError(
      `None of ${run.live.failed} ${row.unit} succeeded; each failure is in the job's items.`,
      { details: { done: run.live.done, failed: run.live.failed, skipped: run.live.skipped } },
    );
  if (state === "queued") {
    await store(run, { state, attempt: row.attempt + 1 });
    tell(run, "job.progress");
    return;
  }
  const cancelled = state === "cancelled";
  const ledgerId =
    error && !cancelled
      ? await dependencies.ledger.record(error, {
          jobId: row.id,
          principal: row.owner,
          operation: row.kind,
        })
      : null;
  await storeEnd(run, {
    state,
    error: error && !cancelled ? JSON.stringify(toProblem(error, { ledgerId })) : null,
    result: result === null || result === undefined ? null : JSON.stringify(result),
    // What succeeded is not run again: the texts that it was given are not kept beyond their documents.
    ...(state === "succeeded" ? { input: "{}" } : {}),
    finished_at: Date.now(),
  });
  dependencies.metrics.jobEnded(row.kind, state);
  tell(run, "job.end");
}

/** A fresh attempt counts what earlier ones finished; what failed is tried again and counted anew. */
async function startCounts(run: Run, only: ReadonlySet<string> | null): Promise<void> {
  const { database } = run.dependencies;
  await database.write(({ tables }) =>
    tables
      .deleteFrom("job_items")
      .where("job_id", "=", run.row.id)
      .where("outcome", "=", "failed")
      .execute(),
  );
  const counts = await database.read
    .selectFrom("job_items")
    .select(({ fn }) => ["outcome", fn.countAll<number>().as("count")])
    .where("job_id", "=", run.row.id)
    .groupBy("outcome")
    .execute();
  for (const { outcome, count } of counts) run.live[outcome] = Number(count);
  if (only) run.live.total = run.live.done + run.live.skipped + only.size;
}

function endState(run: Run, error: CandorError | null): JobState {
  // Aborted without anybody having asked: the process is stopping, and the job goes on at the next start.
  if (run.signal.aborted) return run.row.cancel_requested === 1 ? "cancelled" : "queued";
  if (error) return error instanceof CancelledError ? "cancelled" : "failed";
  if (run.live.failed === 0) return "succeeded";
  return run.live.done > 0 ? "partial" : "failed";
}

function jobContext<Input>(run: Run, only: ReadonlySet<string> | null): JobContext<Input> {
  const { row, live, dependencies } = run;
  const { database, ledger } = dependencies;
  return {
    id: row.id,
    owner: row.owner,
    input: JSON.parse(row.input) as Input,
    attempt: row.attempt,
    signal: run.signal,
    only,
    finishedBefore: () => finishedBefore(run),
    enter: (phase) => {
      live.phase = phase;
      progress(run);
    },
    expect: (total) => {
      live.total = total;
      progress(run);
    },
    finish: async (item, { outcome, reason = null }, effect) => {
      const { value, before } = await database.write(async (handle) => ({
        value: await effect(handle),
        before: await keep(run, handle, { item, outcome, reason, ledgerId: null }),
      }));
      count(run, before, { item, outcome });
      return value;
    },
    fail: async (item, error) => {
      const ledgerId = await ledger.record(error, {
        item,
        jobId: row.id,
        principal: row.owner,
        operation: row.kind,
      });
      const { code, message } = toCandorError(error);
      const reason = `${code}: ${message}`;
      const before = await database.write((handle) =>
        keep(run, handle, { item, outcome: "failed", reason, ledgerId }),
      );
      count(run, before, { item, outcome: "failed", ledgerId });
      return ledgerId;
    },
  };
}

/** Stores an item's outcome in the transaction of its effect. Returns the outcome stored before, which is counted already. */
async function keep(
  { row }: Run,
  { tables }: WriteHandle,
  entry: Omit<JobItem, "attempt">,
): Promise<Outcome | null> {
  const before = await tables
    .selectFrom("job_items")
    .select("outcome")
    .where("job_id", "=", row.id)
    .where("item", "=", entry.item)
    .executeTakeFirst();
  await tables
    .insertInto("job_items")
    .orReplace()
    .values({
      job_id: row.id,
      item: entry.item,
      outcome: entry.outcome,
      reason: entry.reason,
      ledger_id: entry.ledgerId,
      attempt: row.attempt,
      at: Date.now(),
    })
    .execute();
  return before?.outcome ?? null;
}

/** Counts what was committed and tells it. */
function count(
  run: Run,
  before: Outcome | null,
  told: { item: string; outcome: Outcome; ledgerId?: string },
): void {
  const { live } = run;
  if (before) live[before] -= 1;
  live[told.outcome] += 1;
  live.finished += 1;
  run.dependencies.metrics.jobItem(run.row.kind, told.outcome);
  publish(run, "job.item", { ...told, item: redactText(told.item) });
  progress(run);
}

async function finishedBefore({ row, dependencies }: Run): Promise<Map<string, JobItem>> {
  const rows = await dependencies.database.read
    .selectFrom("job_items")
    .selectAll()
    .where("job_id", "=", row.id)
    .where("outcome", "!=", "failed")
    .execute();
  return new Map(rows.map((item) => [item.item, toJobItem(item)]));
}

function publish(run: Run, event: string, data: Record<string, unknown>): void {
  run.live.sequence = run.dependencies.events.publish(`jobs/${run.row.id}`, event, data).sequence;
}

function tell(run: Run, event: string): void {
  run.live.sequence += 1;
  const job = toJob(run.row, run.live);
  run.live.sequence -= 1;
  publish(run, event, { job });
}

/** Tells subscribers and stores the counts, at most every `progressEveryMs`. */
function progress(run: Run): void {
  const now = performance.now();
  if (now - run.told < progressEveryMs) return;
  run.told = now;
  tell(run, "job.progress");
  // Counts in the row are a convenience for lists; a failed write shows at the job's end, which stores them again.
  void store(run, {}).catch((thrown: unknown) =>
    run.dependencies.ledger.record(thrown, { jobId: run.row.id, operation: run.row.kind }),
  );
}

/** How a job ended is worth some tries (a full disk may have space again), unless somebody waits for it to stop. */
async function storeEnd(run: Run, change: Partial<JobRow>): Promise<void> {
  await (run.signal.aborted ? store(run, change) : withRetry(() => store(run, change), run.signal));
}

async function store(run: Run, change: Partial<JobRow>): Promise<void> {
  const { live, row } = run;
  const { attempt } = row;
  await run.dependencies.database.write(({ tables }) =>
    tables
      .updateTable("jobs")
      .set({
        ...change,
        phase: live.phase,
        total: live.total,
        done: live.done,
        failed: live.failed,
        skipped: live.skipped,
        sequence: live.sequence + 1,
      })
      .where("id", "=", row.id)
      .where("attempt", "=", attempt)
      .execute(),
  );
  // Told only now that it is durable.
  Object.assign(row, change, {
    phase: live.phase,
    total: live.total,
    done: live.done,
    failed: live.failed,
    skipped: live.skipped,
  });
}
