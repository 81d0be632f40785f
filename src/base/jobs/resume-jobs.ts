import type { JobRow } from "#base/database/index.ts";
import {
  ConflictError,
  JobInterruptedError,
  JobNotResumableError,
  toProblem,
} from "#base/errors/index.ts";
import { currentContext } from "#base/telemetry/index.ts";
import { channelOf, dispatch, type JobsState } from "./dispatch-jobs.ts";
import { endedStates, type Job, toJob } from "./job.ts";

/** A job whose process died during this attempt or a later one waits for somebody to look at it. */
const attemptsAfterCrash = 3;

/** Stops a running job within one item and waits for that; takes a waiting one out of the queue. */
export async function cancel(state: JobsState, row: JobRow): Promise<JobRow> {
  if (endedStates.includes(row.state as Job["state"])) return row;
  const running = state.running.get(row.id);
  if (running) {
    running.row.cancel_requested = 1;
    running.controller.abort();
    await running.ended;
  } else {
    const idle = ["queued", "interrupted", ...(state.stranded.has(row.id) ? ["running"] : [])];
    state.queue = state.queue.filter((waiting) => waiting.row.id !== row.id);
    await state.database.write(async ({ tables, answer }) => {
      const cancelled = await tables
        .updateTable("jobs")
        .set({ state: "cancelled", cancel_requested: 1, finished_at: Date.now() })
        .where("id", "=", row.id)
        .where("state", "in", idle)
        .returningAll()
        .executeTakeFirst();
      if (cancelled) await answer({ job: toJob(cancelled) });
    });
    state.stranded.delete(row.id);
  }
  const now = await state.database.unscoped
    .selectFrom("jobs")
    .selectAll()
    .where("id", "=", row.id)
    .executeTakeFirstOrThrow();
  // A job that never ran has nobody else who would tell those who wait for it.
  if (!running && now.state === "cancelled") {
    state.events.continueAt(channelOf(row.id), now.sequence);
    state.events.publish(channelOf(row.id), "job.end", { job: toJob(now) });
    state.events.forget(channelOf(row.id));
  }
  return now;
}

/** Queues an ended or interrupted job again: all that is not finished, or only its failed items. */
export async function resume(
  state: JobsState,
  row: JobRow,
  only: "all" | "failed",
): Promise<JobRow> {
  const open = ["interrupted", "failed", "partial", "cancelled"];
  if (!open.includes(row.state) && !state.stranded.has(row.id))
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
    request_id: currentContext().requestId ?? row.request_id,
  };
  const items = only === "failed" ? new Set(failed.map(({ item }) => item)) : null;
  await state.database.write(async (handle) => {
    const { numUpdatedRows } = await handle.tables
      .updateTable("jobs")
      .set({
        state: "queued",
        attempt: again.attempt,
        error: null,
        result: null,
        cancel_requested: 0,
        finished_at: null,
        request_id: again.request_id,
      })
      .where("id", "=", row.id)
      .where("attempt", "=", row.attempt)
      .where("state", "=", row.state)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) throw new ConflictError(`Job ${row.id} was resumed meanwhile.`);
    await handle.answer({ job: toJob(again) });
  });
  state.stranded.delete(row.id);
  state.queue.push({ row: again, only: items, cause: currentContext().span });
  dispatch(state);
  return again;
}

/** What a dead process left: its running jobs are interrupted, said so in the ledger, and queued again. */
export async function takeUp(state: JobsState): Promise<void> {
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
      : await interrupted(state, row, known);
    await state.database.write(({ tables }) =>
      tables.updateTable("jobs").set(change).where("id", "=", row.id).execute(),
    );
    if (again) state.queue.push({ row: { ...row, ...change }, only: null });
  }
  dispatch(state);
}

async function interrupted(
  state: JobsState,
  row: JobRow,
  known: boolean,
): Promise<Partial<JobRow>> {
  const error = new JobInterruptedError(
    known
      ? `The process ended while job ${row.id} ran its attempt ${row.attempt}. Resume it with \`candor jobs resume ${row.id}\`.`
      : `This Candor has no jobs of the kind ${row.kind}: job ${row.id} waits for one that has.`,
  );
  const ledgerId = await state.ledger.record(error, { jobId: row.id, operation: row.kind });
  return { state: "interrupted", error: JSON.stringify(toProblem(error, { ledgerId })) };
}
