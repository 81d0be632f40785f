import { join, resolve } from "node:path";
import type { Setting } from "./define-setting.ts";

/** A value that passed its schema, or what is wrong with it and, for a closed choice, all that is valid. */
export type ReadValue =
  | { readonly valid: true; readonly value: unknown }
  | { readonly valid: false; readonly explanation: string; readonly choice?: readonly unknown[] };

/** Where a value was written: relative places count from `folder`, `~` is `homeFolder`. */
export type Whereabouts = { readonly folder: string; readonly homeFolder: string };

/** Reads one value, text or already typed, and checks it. The explanation never shows the value of a secret setting. */
export function readValue(setting: Setting, given: unknown, at: Whereabouts): ReadValue {
  const isJsonList = setting.kind === "list" && typeof given === "string" && /^\s*\[/.test(given);
  if (isJsonList) return readJsonList(setting, given, at);
  const typed = typeof given === "string" ? readText(setting.kind, given) : given;
  const outcome = setting.schema.safeParse(setting.place ? toAbsolute(typed, at) : typed);
  if (outcome.success) return { valid: true, value: outcome.data };
  const { issues } = outcome.error;
  if (issues.every(({ code }) => code === "custom"))
    return { valid: false, explanation: issues.map(({ message }) => message).join("; ") };
  const closed = setting.range !== null && "values" in setting.range ? setting.range.values : null;
  return {
    valid: false,
    explanation: setting.secret
      ? `is not ${setting.rule}`
      : `${shorten(given)} is not ${setting.rule}`,
    ...(closed === null ? {} : { choice: closed }),
  };
}

const switchWords: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["1", true],
  ["yes", true],
  ["on", true],
  ["false", false],
  ["0", false],
  ["no", false],
  ["off", false],
]);

/** A text by the kind of its setting; what cannot be read stays text, and the schema refuses it by its rule. */
function readText(kind: Setting["kind"], written: string): unknown {
  switch (kind) {
    case "text":
      return written;
    case "word":
      return written.toLowerCase();
    case "integer":
      return /^-?\d{1,15}$/.test(written.trim()) ? Number(written) : written;
    case "switch":
      return switchWords.get(written.trim().toLowerCase()) ?? written;
    case "list":
      return readList(written);
  }
}

/** Entries between commas, blank ones left out. */
function readList(written: string): readonly string[] {
  return written
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}

/** A list written as JSON, for entries that hold commas. */
function readJsonList(setting: Setting, written: string, at: Whereabouts): ReadValue {
  let parsed: unknown;
  try {
    parsed = JSON.parse(written);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    return { valid: false, explanation: `${shorten(written)} is not a JSON list (${reason})` };
  }
  return readValue(setting, parsed, at);
}

function toAbsolute(value: unknown, at: Whereabouts): unknown {
  if (Array.isArray(value)) return value.map((entry) => toAbsolute(entry, at));
  if (typeof value !== "string" || value === "") return value;
  return resolve(
    at.folder,
    /^~(?=[/\\]|$)/.test(value) ? join(at.homeFolder, value.slice(1)) : value,
  );
}

/** A value as messages show it. */
function shorten(value: unknown): string {
  const shown = JSON.stringify(value) ?? String(value);
  return shown.length <= 80 ? shown : `${shown.slice(0, 80)}…`;
}
