import type { Job } from "#base/jobs/index.ts";
import { showDuration, showSafely, wrap, type Output } from "./terminal.ts";

/** Reasons for skipped items that are listed, the most frequent first. */
const shownReasons = 8;

/** How a job ended: its state, what its result counted, why items were skipped. */
export function renderJob(job: Job, output: Output): string {
  const style = job.state === "succeeded" ? "green" : job.state === "failed" ? "red" : "yellow";
  const counts = countsOf(job);
  const seconds =
    job.startedAt === null || job.finishedAt === null
      ? null
      : (Date.parse(job.finishedAt) - Date.parse(job.startedAt)) / 1000;
  const head = [
    `${output.style(style, job.state)}: ${counts}`,
    ...(seconds === null ? [] : [seconds < 10 ? `${seconds.toFixed(1)} s` : showDuration(seconds)]),
  ].join(" · ");
  return [
    wrap(head, output.columns),
    ...reasons("skipped", listOf(job, "skipped")),
    ...reasons("cut by lines", listOf(job, "lineWindows")),
    output.style("dim", `job ${job.id}`),
  ].join("\n");
}

/** The figures of the result where it has some, else those of the job. */
function countsOf(job: Job): string {
  const result = typeof job.result === "object" && job.result !== null ? job.result : {};
  const counted = Object.entries(result).filter(
    (entry): entry is [string, number] => typeof entry[1] === "number",
  );
  const { done, failed, skipped } = job;
  const figures = counted.length > 0 ? counted : Object.entries({ done, failed, skipped });
  return figures
    .map(([name, figure]) => `${figure} ${name === "skippedCount" ? "skipped" : name}`)
    .join(", ");
}

type Entry = { key: string; reason: string };

function listOf({ result }: Job, name: string): readonly Entry[] {
  if (typeof result !== "object" || result === null) return [];
  const list = (result as Record<string, unknown>)[name];
  return Array.isArray(list) ? (list as Entry[]) : [];
}

function reasons(what: string, entries: readonly Entry[]): string[] {
  const groups = Map.groupBy(entries, ({ reason }) => reason);
  const sorted = [...groups].toSorted((one, other) => other[1].length - one[1].length);
  const lines = sorted.slice(0, shownReasons).map(([reason, members]) => {
    const example = members[0]?.key ?? "";
    const others = members.length > 1 ? ` and ${members.length - 1} more` : "";
    return `${what}: ${showSafely(example)}${others}: ${showSafely(reason)}`;
  });
  return sorted.length > shownReasons
    ? [...lines, `${what}: ${sorted.length - shownReasons} more reasons`]
    : lines;
}
