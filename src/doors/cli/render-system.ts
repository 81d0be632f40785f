import type { SettingsList } from "#base/config/index.ts";
import type { Answer } from "./send.ts";
import { showDuration, showSafely, table, wrap, type Output } from "./terminal.ts";

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
