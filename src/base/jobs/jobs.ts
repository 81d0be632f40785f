import { newId, type Database, type JobRow, type WriteHandle } from "#base/database/index.ts";
import {
  ConflictError,
  JobInterruptedError,
  JobNotResumableError,
  NotFoundError,
  toProblem,
} from "#base/errors/index.ts";
import type { EventBus } from "#base/events/index.ts";
import type { Ledger } from "#base/ledger/index.ts";
import type { Metrics } from "#base/telemetry/index.ts";
import { endedStates, type Job, type JobItem, toJob, toJobItem } from "./job.ts";
import { followJob, type JobEvent } from "./follow-job.ts";
import { type JobKind, type RunningJob, runJob } from "./run-job.ts";

/** Jobs that run at once; each has its own bounded concurrency inside. */
const runningAtOnce = 2;

/** A job that died with its process this often in a row waits for somebody to look at it. */
const attemptsAfterCrash = 3;

export type JobStart = {
  readonly owner: string;
  readonly target: { readonly type: string; readonly id: string };
  readonly input: unknown;
};

/** Which jobs a caller may see: its own, or all. */
export type JobScope = { readonly owner: string | "anybody" };

export type Jobs = {
  define<Input>(kind: JobKind<Input>): void;
  /** Stores a queued job in the caller's transaction; it runs after COMMIT. */
  enqueue(handle: WriteHandle, kind: string, start: JobStart): Promise<Job>;
  /** Starts what is queued, as far as there is room. Called after a transaction that enqueued. */
  dispatch(): void;
  get(id: string, scope: JobScope): Promise<Job>;
  list(
    filter: {
      state?: string | undefined;
      kind?: string | undefined;
      target?: string | undefined;
      before?: string | undefined;
      limit: number;
    },
    scope: JobScope,
  ): Promise<Job[]>;
  items(
    id: string,
    filter: { outcome?: JobItem["outcome"] | undefined; after?: string | undefined; limit: number },
    scope: JobScope,
  ): Promise<JobItem[]>;
  cancel(id: string, scope: JobScope): Promise<Job>;
  resume(id: string, scope: JobScope, only: "all" | "failed"): Promise<Job>;
  /** The job's events from now on, the last state first unless `since` is its sequence; ends with the job or the signal. */
  follow(
    id: string,
    scope: JobScope,
    signal: AbortSignal,
    since?: number,
  ): AsyncGenerator<JobEvent>;
  /** Resolves with the job's end state. */
  ended(id: string, signal: AbortSignal): Promise<Job>;
  /** Whether a job is still adding to this target. */
  activeOn(target: string): Promise<Job[]>;
  counts(): { queued: number; running: number };
  /** Takes up what the process before left: called once, after every kind is defined. */
  takeUp(): Promise<void>;
  /** Stops running jobs within one item and leaves them resumable. */
  close(): Promise<void>;
};

type Running = RunningJob & { row: JobRow; controller: AbortController };
type State = {
  database: Database;
  ledger: Ledger;
  events: EventBus;
  metrics: Metrics;
  kinds: Map<string, JobKind<unknown>>;
  queue: { row: JobRow; only: ReadonlySet<string> | null }[];
  running: Map<string, Running>;
  boot: string;
  closing: boolean;
};

export function createJobs(dependencies: {
  database: Database;
  ledger: Ledger;
  events: EventBus;
  metrics: Metrics;
}): Jobs {
  const state: State = {
    ...dependencies,
    kinds: new Map(),
    queue: [],
    running: new Map(),
    boot: newId("boot"),
    closing: false,
  };
  const { database } = state;
  const find = async (id: string, scope: JobScope): Promise<JobRow> => {
    const row = await database.unscoped
      .selectFrom("jobs")
      .selectAll()
      .where("id", "=", id)
      .executeTakeFirst();
    if (!row || (scope.owner !== "anybody" && row.owner !== scope.owner))
      throw new NotFoundError(`There is no job "${id}".`);
    return row;
  };
  const show = (row: JobRow) => {
    const running = state.running.get(row.id);
    return running ? toJob(running.row, running.live) : toJob(row);
  };
  return {
    define: (kind) => {
      if (state.kinds.has(kind.kind)) throw new TypeError(`two job kinds are called ${kind.kind}`);
      state.kinds.set(kind.kind, kind as JobKind<unknown>);
    },
    enqueue: (handle, kind, start) => enqueue(state, handle, kind, start),
    dispatch: () => dispatch(state),
    get: async (id, scope) => show(await find(id, scope)),
    list: async (filter, scope) => {
      let query = database.unscoped.selectFrom("jobs").selectAll();
      if (scope.owner !== "anybody") query = query.where("owner", "=", scope.owner);
      if (filter.state !== undefined) query = query.where("state", "=", filter.state);
      if (filter.kind !== undefined) query = query.where("kind", "=", filter.kind);
      if (filter.target !== undefined) query = query.where("target_id", "=", filter.target);
      if (filter.before !== undefined) query = query.where("id", "<", filter.before);
      return (await query.orderBy("id", "desc").limit(filter.limit).execute()).map(show);
    },
    items: async (id, filter, scope) => {
      await find(id, scope);
      let query = database.read.selectFrom("job_items").selectAll().where("job_id", "=", id);
      if (filter.outcome !== undefined) query = query.where("outcome", "=", filter.outcome);
      if (filter.after !== undefined) query = query.where("item", ">", filter.after);
      return (await query.orderBy("item").limit(filter.limit).execute()).map(toJobItem);
    },
    cancel: async (id, scope) => show(await cancel(state, await find(id, scope))),
    resume: async (id, scope, only) => toJob(await resume(state, await find(id, scope), only)),
    follow: (id, scope, signal, since) =>
      followJob(state.events, () => find(id, scope).then(show), { id, signal, since }),
    ended: async (id, signal) => {
      const get = () => find(id, { owner: "anybody" }).then(show);
      for await (const { event, data } of followJob(state.events, get, { id, signal }))
        if (event === "job.end" && "job" in data) return data.job;
      return get();
    },
    activeOn: async (target) => {
      const rows = await database.unscoped
        .selectFrom("jobs")
        .selectAll()
        .where("target_id", "=", target)
        .where("state", "in", ["queued", "running"])
        .execute();
      return rows.map(show);
    },
    counts: () => ({ queued: state.queue.length, running: state.running.size }),
    takeUp: () => takeUp(state),
    close: async () => {
      state.closing = true;
      const running = [...state.running.values()];
      for (const job of running) job.controller.abort();
      await Promise.all(running.map((job) => job.ended));
    },
  };
}

async function enqueue(
  state: State,
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
  };
  await handle.tables.insertInto("jobs").values(row).execute();
  state.queue.push({ row, only: null });
  return toJob(row);
}

/** Starts queued jobs while there is room; one at a time per target, in the order of their making. */
function dispatch(state: State): void {
  for (const waiting of [...state.queue]) {
    if (state.closing || state.running.size >= runningAtOnce) return;
    const busy = [...state.running.values()].some(
      (job) => job.row.target_id === waiting.row.target_id,
    );
    if (busy) continue;
    state.queue.splice(state.queue.indexOf(waiting), 1);
    start(state, waiting.row, waiting.only);
  }
}

function start(state: State, row: JobRow, only: ReadonlySet<string> | null): void {
  const kind = state.kinds.get(row.kind);
  if (!kind) throw new TypeError(`no job kind is called ${row.kind}`);
  const controller = new AbortController();
  const claimed: JobRow = { ...row, state: "running", started_at: Date.now() };
  state.events.continueAt(`jobs/${row.id}`, row.sequence);
  const claim = state.database.write(({ tables }) =>
    tables
      .updateTable("jobs")
      .set({ state: "running", started_at: claimed.started_at, boot: state.boot })
      .where("id", "=", row.id)
      .where("state", "=", "queued")
      .executeTakeFirst(),
  );
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
  running.ended = claim
    .then(async ({ numUpdatedRows }) => {
      // Not there or not queued any more: the transaction that enqueued it was undone, or it was cancelled meanwhile.
      if (numUpdatedRows === 0n) return;
      const attempt = runJob(kind, claimed, only, controller.signal, state);
      running.live = attempt.live;
      await attempt.ended;
    })
    .catch((thrown: unknown) => state.ledger.record(thrown, { jobId: row.id, operation: row.kind }))
    .then(() => {
      state.running.delete(row.id);
      dispatch(state);
    });
}

async function cancel(state: State, row: JobRow): Promise<JobRow> {
  if (endedStates.includes(row.state as Job["state"])) return row;
  const running = state.running.get(row.id);
  if (running) {
    running.row.cancel_requested = 1;
    running.controller.abort();
    await running.ended;
  } else {
    state.queue = state.queue.filter((waiting) => waiting.row.id !== row.id);
    await state.database.write(({ tables }) =>
      tables
        .updateTable("jobs")
        .set({ state: "cancelled", cancel_requested: 1, finished_at: Date.now() })
        .where("id", "=", row.id)
        .where("state", "in", ["queued", "interrupted"])
        .execute(),
    );
  }
  return state.database.unscoped
    .selectFrom("jobs")
    .selectAll()
    .where("id", "=", row.id)
    .executeTakeFirstOrThrow();
}

async function resume(state: State, row: JobRow, only: "all" | "failed"): Promise<JobRow> {
  const open = ["interrupted", "failed", "partial", "cancelled"];
  if (!open.includes(row.state))
    throw new JobNotResumableError(
      `Job ${row.id} is ${row.state}; only ${open.join(", ")} jobs go on.`,
    );
  const failed = await state.database.read
    .selectFrom("job_items")
    .select("item")
    .where("job_id", "=", row.id)
    .where("outcome", "=", "failed")
    .execute();
  if (only === "failed" && failed.length === 0)
    throw new JobNotResumableError(`Job ${row.id} has no failed items to run again.`);
  const again: JobRow = {
    ...row,
    state: "queued",
    attempt: row.attempt + 1,
    error: null,
    result: null,
    cancel_requested: 0,
    finished_at: null,
  };
  const items = only === "failed" ? new Set(failed.map(({ item }) => item)) : null;
  await state.database.write(async ({ tables, answer }) => {
    const { numUpdatedRows } = await tables
      .updateTable("jobs")
      .set({
        state: "queued",
        attempt: again.attempt,
        error: null,
        result: null,
        cancel_requested: 0,
        finished_at: null,
      })
      .where("id", "=", row.id)
      .where("attempt", "=", row.attempt)
      .where("state", "=", row.state)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) throw new ConflictError(`Job ${row.id} was resumed meanwhile.`);
    await answer({ job: toJob(again) });
  });
  state.queue.push({ row: again, only: items });
  dispatch(state);
  return again;
}

/** What a dead process left: its running jobs are interrupted, said so in the ledger, and queued again. */
async function takeUp(state: State): Promise<void> {
  const left = await state.database.unscoped
    .selectFrom("jobs")
    .selectAll()
    .where("state", "in", ["queued", "running"])
    .orderBy("id")
    .execute();
  for (const row of left) {
    const died = row.state === "running";
    const known = state.kinds.has(row.kind);
    const again = known && (!died || row.attempt < attemptsAfterCrash);
    const change = again
      ? { state: "queued", attempt: died ? row.attempt + 1 : row.attempt, boot: state.boot }
      : await interrupted(state, row);
    await state.database.write(({ tables }) =>
      tables.updateTable("jobs").set(change).where("id", "=", row.id).execute(),
    );
    if (again) state.queue.push({ row: { ...row, ...change }, only: null });
  }
  dispatch(state);
}

async function interrupted(state: State, row: JobRow): Promise<Partial<JobRow>> {
  const error = new JobInterruptedError(
    `The process ended ${row.attempt} times while job ${row.id} ran. Resume it with \`candor jobs resume ${row.id}\`.`,
  );
  const ledgerId = await state.ledger.record(error, { jobId: row.id, operation: row.kind });
  return { state: "interrupted", error: JSON.stringify(toProblem(error, { ledgerId })) };
}
