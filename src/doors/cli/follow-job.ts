import { setTimeout as delay } from "node:timers/promises";
import { SingleBar } from "cli-progress";
import { ServerUnreachableError } from "#base/errors/index.ts";
import type { Job, JobState } from "#base/jobs/index.ts";
import type { LoopbackEvent } from "#base/network/index.ts";
import type { Context } from "./command.ts";
import { ask, follow, operationNamed, sayNotice } from "./send.ts";
import { showDuration, showSafely, type Output } from "./terminal.ts";

/** Failed items that are shown with their reasons; the rest are named by their number. */
const shownFailures = 20;

/** States in which a job stays until somebody resumes it. */
const restingStates: readonly JobState[] = [
  "succeeded",
  "partial",
  "failed",
  "cancelled",
  "interrupted",
];

/** Between two tries to follow a job whose stream ended too early, in milliseconds. */
const againMs = 200;

/**
 * Follows a job to its end with progress on standard error. Ctrl-C cancels the job and waits for it. When the process
 * that runs the job goes away, the next owner of the data directory takes it up, which may be this process.
 */
export async function followJob(context: Context, job: Job): Promise<Job> {
  const progress = createProgress(context.terminal.err);
  const refused = Promise.withResolvers<never>();
  const cancel = () => {
    progress.end();
    context.terminal.err.line("cancelling the job; Ctrl-C again leaves at once");
    ask(context, "jobs.cancel", { job: job.id }).then(undefined, refused.reject);
  };
  try {
    const ended = await context.interrupts.during(cancel, () =>
      Promise.race([followToEnd(context, job, progress.update), refused.promise]),
    );
    progress.end();
    await showFailures(context, ended);
    return ended;
  } finally {
    progress.end();
  }
}

async function followToEnd(
  context: Context,
  job: Job,
  onProgress: (job: Job) => void,
): Promise<Job> {
  const events = operationNamed(context, "jobs.events");
  for (;;) {
    const wasOwner = context.session().ownsEngine();
    try {
      for await (const event of follow(context, events, { job: job.id })) {
        const current = jobOf(event);
        if (current === null) continue;
        onProgress(current);
        if (isOver(current)) return current;
      }
    } catch (thrown) {
      if (!(thrown instanceof ServerUnreachableError) || wasOwner) throw thrown;
    }
    await delay(againMs);
    const before = context.session().ownsEngine();
    const current = (await ask(context, "jobs.get", { job: job.id })) as unknown as Job;
    if (isOver(current)) return current;
    if (!before && context.session().ownsEngine())
      sayNotice(context, "the process that ran the job has ended; this one goes on with it");
  }
}

function isOver({ state }: Job): boolean {
  return restingStates.includes(state);
}

function jobOf({ data }: LoopbackEvent): Job | null {
  return typeof data === "object" && data !== null && "job" in data ? (data.job as Job) : null;
}

async function showFailures(context: Context, job: Job): Promise<void> {
  if (job.failed === 0) return;
  const { err } = context.terminal;
  const answer = await ask(context, "jobs.items", {
    job: job.id,
    outcome: "failed",
    limit: shownFailures,
  });
  for (const { item, reason, ledgerId } of answer["items"] as JobItem[])
    err.line(`${err.style("red", "failed:")} ${item}: ${reason ?? "unknown"} (${ledgerId ?? "-"})`);
  const more = job.failed - shownFailures;
  if (more > 0) err.line(`and ${more} more: candor jobs items ${job.id} --outcome failed`);
}

type JobItem = { item: string; reason: string | null; ledgerId: string | null };

/** Where nobody watches, a line at most this often, in milliseconds. */
const lineEveryMs = 3_000;

/** Cells of the bar. */
const barCells = 24;

type Progress = { readonly update: (job: Job) => void; readonly end: () => void };

/** A bar on a terminal, plain lines elsewhere; every figure is the job's own. */
function createProgress(output: Output): Progress {
  return output.isTerminal ? createBar(output) : createLines(output);
}

function createBar(output: Output): Progress {
  const state: { job: Job | null } = { job: null };
  const bar = new SingleBar({
    stream: output.stream,
    format: () => (state.job === null ? "" : progressLine(state.job, output)),
    hideCursor: true,
    clearOnComplete: true,
    gracefulExit: false, // signals are handled in one place
    fps: 10,
  });
  return {
    update: (job) => {
      const first = state.job === null;
      state.job = job;
      if (first) bar.start(1, 0);
      else bar.update(0, {});
    },
    end: () => {
      if (bar.isActive) bar.stop();
    },
  };
}

function createLines(output: Output): Progress {
  const state = { phase: "", written: -Infinity };
  return {
    update: (job) => {
      const now = performance.now();
      const phase = job.phase ?? job.state;
      if (phase === state.phase && now - state.written < lineEveryMs) return;
      state.phase = phase;
      state.written = now;
      output.line(progressLine(job, null));
    },
    end: () => {},
  };
}

/** `indexing [####----] 50 % · 120/240 files · 24.3/s · 5 s left`; what is not known yet is left out or said. */
export function progressLine(job: Job, bar: Output | null): string {
  const { total, rate, etaSeconds, failed } = job;
  const finished = job.done + job.failed + job.skipped;
  const share = total === null || total === 0 ? null : Math.min(1, finished / total);
  const isRunning = job.state === "running";
  const parts = [
    share === null ? "" : `${Math.floor(share * 100)} %`,
    `${finished}${total === null ? "" : `/${total}`} ${job.unit}`,
    rate === null ? "" : `${rate >= 100 ? Math.round(rate) : rate.toFixed(1)}/s`,
    !isRunning
      ? ""
      : etaSeconds === null
        ? "time left unknown"
        : `${showDuration(etaSeconds)} left`,
    failed === 0 ? "" : `${failed} failed`,
  ].filter((part) => part !== "");
  const phase = showSafely(job.phase ?? job.state);
  return `${phase}${bar === null ? ":" : ` ${drawBar(share, bar)}`} ${parts.join(" · ")}`;
}

function drawBar(share: number | null, output: Output): string {
  const full = Math.round((share ?? 0) * barCells);
  return output.style("green", "█".repeat(full)) + output.style("dim", "░".repeat(barCells - full));
}
