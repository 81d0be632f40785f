import type { SettingsList } from "#base/config/index.ts";
import type { Answer } from "./send.ts";
import { showSafely, table, type Output } from "./terminal.ts";

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
