import { type Database, type JobRow, newId, type WriteHandle } from "#base/database/index.ts";
import { toProblem } from "#base/errors/index.ts";
import type { EventBus } from "#base/events/index.ts";
import type { Ledger } from "#base/ledger/index.ts";
import {
  currentContext,
  type Metrics,
  type Traces,
  type WorkContext,
  withoutContext,
} from "#base/telemetry/index.ts";
import { type Job, toJob } from "./job.ts";
import { type JobKind, type RunningJob, runJob } from "./run-job.ts";

/** Jobs that run at once; each has its own bounded concurrency inside. */
const runningAtOnce = 2;

export type JobStart = {
  readonly owner: string;
  readonly target: { readonly type: string; readonly id: string };
  readonly input: unknown;
};

/** A job that waits; `cause` is the span of the request that queued it, where there is one. */
type Queued = {
  readonly row: JobRow;
  readonly only: ReadonlySet<string> | null;
  readonly cause?: WorkContext["span"];
};

export type Running = RunningJob & { row: JobRow; controller: AbortController };

/** What the room knows of its jobs beyond their rows. */
export type JobsState = {
  database: Database;
  ledger: Ledger;
  events: EventBus;
  metrics: Metrics;
  traces: Traces;
  kinds: Map<string, JobKind<unknown>>;
  queue: Queued[];
  running: Map<string, Running>;
  /** Jobs whose end could not be stored: their rows say `running`, but nothing runs them before somebody resumes or restarts. */
  stranded: Map<string, Job>;
  boot: string;
  closing: boolean;
};

/** Stores a queued job in the transaction of `handle`. */
export async function enqueue(
  state: JobsState,
  handle: WriteHandle,
  kind: string,
  start: JobStart,
): Promise<Job> {
  const definition = state.kinds.get(kind);
  if (!definition) throw new TypeError(`no job kind is called ${kind}`);
  const row: JobRow = {
    id: newId("job"),
    kind,
    state: "queued",
    owner: start.owner,
    target_type: start.target.type,
    target_id: start.target.id,
    input: JSON.stringify(start.input),
    phase: null,
    unit: definition.unit,
    total: null,
    done: 0,
    failed: 0,
    skipped: 0,
    attempt: 1,
    boot: state.boot,
    cancel_requested: 0,
    error: null,
    result: null,
    sequence: 0,
    created_at: Date.now(),
    started_at: null,
    finished_at: null,
    request_id: currentContext().requestId ?? null,
  };
  await handle.tables.insertInto("jobs").values(row).execute();
  state.queue.push({ row, only: null, cause: currentContext().span });
  return toJob(row);
}

/** Starts queued jobs while there is room; one at a time per target, in the order of their making. */
export function dispatch(state: JobsState): void {
  for (const waiting of state.queue.slice()) {
    if (state.closing || state.running.size >= runningAtOnce) return;
    const busy = [...state.running.values()].some(
      (job) => job.row.target_id === waiting.row.target_id,
    );
    if (busy) continue;
    state.queue.splice(state.queue.indexOf(waiting), 1);
    startInOwnContext(state, waiting);
  }
}

/** A job outlives the request that queued it and is started by whatever made room: it runs in a context and a trace of its own. */
function startInOwnContext(state: JobsState, { row, only, cause }: Queued): void {
  const span = state.traces.begin({
    name: `job ${row.kind}`,
    attributes: { "candor.job.kind": row.kind, "candor.job.attempt": row.attempt },
    link: cause,
  });
  const context: WorkContext = {
    jobId: row.id,
    principal: row.owner,
    ...(row.request_id === null ? {} : { requestId: row.request_id }),
    ...(span === null ? {} : { span }),
  };
  withoutContext(() => start(state, row, only), context);
}

function start(state: JobsState, row: JobRow, only: ReadonlySet<string> | null): void {
  const kind = state.kinds.get(row.kind);
  if (!kind) throw new TypeError(`no job kind is called ${row.kind}`);
  const controller = new AbortController();
  const claimed: JobRow = { ...row, state: "running", started_at: Date.now() };
  state.events.continueAt(channelOf(row.id), row.sequence);
  const running: Running = {
    row: claimed,
    controller,
    live: {
      phase: null,
      total: null,
      done: 0,
      failed: 0,
      skipped: 0,
      finished: 0,
      began: performance.now(),
      sequence: row.sequence,
    },
    ended: Promise.resolve(),
  };
  state.running.set(row.id, running);
  running.ended = claim(state, claimed)
    .then(async ({ numUpdatedRows }) => {
      // Not there or not queued any more: the transaction that enqueued it was undone, or it was cancelled meanwhile.
      if (numUpdatedRows === 0n) return;
      const attempt = runJob(kind, claimed, only, controller.signal, state);
      running.live = attempt.live;
      await attempt.ended;
      endSpan(claimed);
    })
    .catch((thrown: unknown) => strand(state, running, thrown))
    .then(() => {
      state.running.delete(row.id);
      state.events.forget(channelOf(row.id));
      dispatch(state);
    });
}

function endSpan({ state, done, failed, skipped }: JobRow): void {
  const { span } = currentContext();
  span?.set({
    "candor.job.state": state,
    "candor.job.done": done,
    "candor.job.failed": failed,
    "candor.job.skipped": skipped,
  });
  if (state === "failed") span?.fail("job_failed");
  span?.end();
}

function claim(state: JobsState, row: JobRow): Promise<{ numUpdatedRows: bigint }> {
  return state.database.write(({ tables }) =>
    tables
      .updateTable("jobs")
      .set({ state: "running", started_at: row.started_at, boot: state.boot })
      .where("id", "=", row.id)
      .where("state", "=", "queued")
      .executeTakeFirst(),
  );
}

/** The database refused to take a job's start or end: those who follow are told, and its work counts as interrupted. */
async function strand(state: JobsState, { row, live }: Running, thrown: unknown): Promise<void> {
  const ledgerId = await state.ledger.record(thrown, { jobId: row.id, operation: row.kind });
  const error = JSON.stringify(toProblem(thrown, { ledgerId }));
  live.sequence += 1;
  const job = toJob({ ...row, state: "interrupted", error }, live);
  const { span } = currentContext();
  span?.fail("database_unavailable");
  span?.end();
  state.stranded.set(row.id, job);
  state.events.publish(channelOf(row.id), "job.end", { job });
}

export function channelOf(id: string): string {
  return `jobs/${id}`;
}
