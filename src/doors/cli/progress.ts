import { SingleBar } from "cli-progress";
import type { Job } from "#base/jobs/index.ts";
import { showDuration, showSafely, type Output } from "./terminal.ts";

/** Where nobody watches, a line at most this often, in milliseconds. */
const lineEveryMs = 3_000;

/** Cells of the bar. */
const barCells = 24;

export type Progress = { readonly update: (job: Job) => void; readonly end: () => void };

/** A bar on a terminal, plain lines elsewhere; every figure is the job's own. */
export function createProgress(output: Output): Progress {
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
