import { type Database, type JobRow, newId, type WriteHandle } from "#base/database/index.ts";
import { NotFoundError } from "#base/errors/index.ts";
import type { Traces } from "#base/telemetry/index.ts";
import { dispatch, enqueue, type JobsState, type JobStart } from "./dispatch-jobs.ts";
import { followJob, type JobEvent } from "./follow-job.ts";
import { type Job, type JobItem, toJob, toJobItem } from "./job.ts";
import { cancel, resume, takeUp } from "./resume-jobs.ts";
import type { JobKind, RunDependencies } from "./run-job.ts";

/** Which jobs a caller may see: those of a principal, or those of `anybody`. */
export type JobScope = { readonly owner: string };

type JobFilter = {
  readonly state?: string | undefined;
  readonly kind?: string | undefined;
  readonly target?: string | undefined;
  /** Jobs made before the one of this id. */
  readonly before?: string | undefined;
  readonly limit: number;
};

type ItemFilter = {
  readonly outcome?: JobItem["outcome"] | undefined;
  readonly after?: string | undefined;
  readonly limit: number;
};

export type Jobs = {
  define<Input>(kind: JobKind<Input>): void;
  /** Stores a queued job in the caller's transaction; it runs after COMMIT. */
  enqueue(handle: WriteHandle, kind: string, start: JobStart): Promise<Job>;
  /** Starts what is queued, as far as there is room. Called after a transaction that enqueued. */
  dispatch(): void;
  get(id: string, scope: JobScope): Promise<Job>;
  list(filter: JobFilter, scope: JobScope): Promise<Job[]>;
  items(id: string, filter: ItemFilter, scope: JobScope): Promise<JobItem[]>;
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

export function createJobs(dependencies: RunDependencies & { traces: Traces }): Jobs {
  const state: JobsState = {
    ...dependencies,
    kinds: new Map(),
    queue: [],
    running: new Map(),
    stranded: new Map(),
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
    if (running) return toJob(running.row, running.live);
    return state.stranded.get(row.id) ?? toJob(row);
  };
  return {
    define: (kind) => {
      if (state.kinds.has(kind.kind)) throw new TypeError(`two job kinds are called ${kind.kind}`);
      state.kinds.set(kind.kind, kind as JobKind<unknown>);
    },
    enqueue: (handle, kind, start) => enqueue(state, handle, kind, start),
    dispatch: () => dispatch(state),
    get: async (id, scope) => show(await find(id, scope)),
    list: async (filter, scope) => (await listRows(database, filter, scope)).map(show),
    items: async (id, filter, scope) => {
      await find(id, scope);
      return listItems(database, id, filter);
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
    activeOn: async (target) => (await activeRows(database, target)).map(show),
    counts: () => ({ queued: state.queue.length, running: state.running.size }),
    takeUp: () => takeUp(state),
    close: () => stop(state),
  };
}

/** Tells every running job to stop and waits for it; nothing is started any more. */
async function stop(state: JobsState): Promise<void> {
  state.closing = true;
  const running = [...state.running.values()];
  for (const job of running) job.controller.abort();
  await Promise.all(running.map((job) => job.ended));
}

function activeRows(database: Database, target: string): Promise<JobRow[]> {
  return database.unscoped
    .selectFrom("jobs")
    .selectAll()
    .where("target_id", "=", target)
    .where("state", "in", ["queued", "running"])
    .execute();
}

function listRows(database: Database, filter: JobFilter, scope: JobScope): Promise<JobRow[]> {
  let query = database.unscoped.selectFrom("jobs").selectAll();
  if (scope.owner !== "anybody") query = query.where("owner", "=", scope.owner);
  if (filter.state !== undefined) query = query.where("state", "=", filter.state);
  if (filter.kind !== undefined) query = query.where("kind", "=", filter.kind);
  if (filter.target !== undefined) query = query.where("target_id", "=", filter.target);
  if (filter.before !== undefined) query = query.where("id", "<", filter.before);
  return query.orderBy("id", "desc").limit(filter.limit).execute();
}

async function listItems(database: Database, id: string, filter: ItemFilter): Promise<JobItem[]> {
  let query = database.read.selectFrom("job_items").selectAll().where("job_id", "=", id);
  if (filter.outcome !== undefined) query = query.where("outcome", "=", filter.outcome);
  if (filter.after !== undefined) query = query.where("item", ">", filter.after);
  return (await query.orderBy("item").limit(filter.limit).execute()).map(toJobItem);
}
