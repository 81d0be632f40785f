import type { SettingsList } from "#base/config/index.ts";
import type { Problem } from "#base/errors/index.ts";
import type { Job } from "#base/jobs/index.ts";
import type { CliCommand } from "./command.ts";
import type { Answer } from "./send.ts";
import { showDuration, showSafely, wrap, type Output, table } from "./terminal.ts";

/** An error as people read it: code and message, each wrong field by the name they typed, the next step, the ledger entry. */
export function renderFailure(
  problem: Problem,
  command: CliCommand | null,
  output: Output,
): string {
  const fields = (problem.errors ?? []).flatMap(({ pointer, message, valid }) => {
    const name = nameOf(pointer, command);
    if (name === null) return [];
    const choices = valid === undefined ? "" : `; valid: ${valid.map(String).join(", ")}`;
    return [`  ${name}: ${message}${choices}`];
  });
  // What the fields say need not be said twice.
  const text = fields.length > 0 ? problem.title : problem.detail;
  const ledgerId = problem.instance?.replace("urn:candor:", "");
  const lines = [
    `${output.style("red", `error (${problem.code}):`)} ${showSafely(text)}`,
    ...fields.map(showSafely),
    ...(problem.nextStep === undefined ? [] : [`next step: ${showSafely(problem.nextStep.text)}`]),
    ...(ledgerId === undefined ? [] : [`ledger entry: ${ledgerId}`]),
  ];
  return lines.map((line) => wrap(line, output.columns)).join("\n");
}

/** The argument or option that fills the field of a JSON pointer; null where the command has none. */
function nameOf(pointer: string, command: CliCommand | null): string | null {
  const field = pointer.split("/")[1];
  const found = command?.parameters.find((parameter) => parameter.field === field);
  if (found === undefined) return null;
  return found.place === "option" ? `--${found.name}` : `<${found.name}>`;
}

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
    ...showUnlisted(job),
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

/** A result lists the first skipped items only; where the others are is said. */
function showUnlisted({ id, result }: Job): string[] {
  const { skipped, skippedCount } = (result ?? {}) as { skipped?: unknown; skippedCount?: unknown };
  if (!Array.isArray(skipped) || typeof skippedCount !== "number") return [];
  if (skippedCount <= skipped.length) return [];
  return [
    `skipped: ${skippedCount - skipped.length} more are not listed here: candor jobs items ${id} --outcome skipped`,
  ];
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

type Check = {
  name: string;
  state: "ok" | "degraded" | "failed" | "unknown";
  latencyMs: number | null;
  checkedAt: string | null;
  detail: string;
  nextStep?: { text: string } | string;
};

type Health = { status: string; version: string; checks: readonly Check[] };

const styles = { ok: "green", degraded: "yellow", failed: "red", unknown: "dim" } as const;

/** One line for each part: state, name, how long the probe took, what was found; the next step below. */
export function renderHealth(answer: Answer, output: Output): string {
  const { status, version, checks } = answer as unknown as Health;
  const widest = Math.max(0, ...checks.map(({ name }) => name.length));
  const lines = checks.map(({ name, state, latencyMs, checkedAt, detail, nextStep }) => {
    const start = `${state.padEnd(8)}  ${name.padEnd(widest)}  ${showLatency(latencyMs).padStart(8)}  `;
    const age = checkedAt === null ? "" : showAge(checkedAt);
    const indent = " ".repeat(start.length);
    const text = wrap(`${showSafely(detail)}${age}`, output.columns, indent).slice(start.length);
    const next = typeof nextStep === "string" ? nextStep : nextStep?.text;
    return [
      output.style(styles[state], start.slice(0, 8)) + start.slice(8) + text,
      ...(next === undefined
        ? []
        : [wrap(`next step: ${showSafely(next)}`, output.columns, indent)]),
    ].join("\n");
  });
  const end = `Candor ${version} is ${status}`;
  return [...lines, output.style("bold", end)].join("\n");
}

function showLatency(latencyMs: number | null): string {
  if (latencyMs === null) return "-";
  return `${latencyMs < 10 ? latencyMs.toFixed(1) : Math.round(latencyMs)} ms`;
}

/** A check that was not made just now says how old it is. */
function showAge(checkedAt: string): string {
  const seconds = (Date.now() - Date.parse(checkedAt)) / 1000;
  return seconds < 5 ? "" : ` (checked ${showDuration(seconds)} ago)`;
}

/** Every setting with its value and origin; the values it hides stand below it, weakest last. */
export function renderSettings(answer: Answer, output: Output): string {
  const { items, faults } = answer as unknown as SettingsList;
  const rows = items.flatMap(({ key, value, origin, variable, shadowed, runtime }) => [
    [
      key,
      origin === "environment" || origin === ".env" ? `${origin} ${variable}` : origin,
      runtime ? "at run time" : "at start",
      showValue(value),
    ],
    ...shadowed.map((weaker) => ["", `  hides ${weaker.origin}`, "", showValue(weaker.value)]),
  ]);
  return [
    table(["setting", "from", "changes", "value"], rows, output),
    ...faults.map(({ severity, message }) => renderFault(severity, message, output)),
  ].join("\n");
}

/** One fault or warning of the configuration. */
export function renderFault(
  severity: "fault" | "warning",
  message: string,
  output: Output,
): string {
  const style = severity === "fault" ? "red" : "yellow";
  return `${output.style(style, `${severity}:`)} ${showSafely(message)}`;
}

function showValue(value: unknown): string {
  if (value === null) return "-";
  if (Array.isArray(value)) return value.length === 0 ? "none" : showSafely(value.join(", "));
  return showSafely(typeof value === "string" ? value : JSON.stringify(value));
}
