import type { Operation } from "#operations/index.ts";
import { renderHealth, renderSettings } from "./render-outcome.ts";
import { renderExplanation } from "./render-search.ts";
import type { Answer } from "./send.ts";
import { showBytes, showSafely, showTime, table, wrap, type Output } from "./terminal.ts";

/** What the door adds to every answer; people see it elsewhere or not at all. */
const added = new Set(["notices", "requestId", "tookMs"]);

/** Columns of lists, as paths into an item. Lists without a line here show every plain field. */
const columns: Readonly<Record<string, readonly string[]>> = {
  "collections.list": [
    "name",
    "space.name",
    "counts.documents",
    "counts.chunks",
    "counts.bytes",
    "right",
    "updatedAt",
  ],
  "documents.list": [
    "key",
    "mediaType",
    "bytes",
    "chunks",
    "freshness.state",
    "indexedAt",
    "title",
  ],
  "jobs.list": ["id", "kind", "state", "done", "failed", "skipped", "total", "unit", "createdAt"],
  "jobs.items": ["outcome", "attempt", "ledgerId", "item", "reason"],
  "keys.list": ["id", "name", "role", "prefix", "createdAt", "expiresAt", "lastUsedAt"],
  "ledger.list": ["id", "time", "severity", "code", "resolved", "item", "message"],
  "ledger.groups": ["fingerprint", "count", "severity", "code", "lastSeen", "resolved", "message"],
  "spaces.list": ["name", "id", "runtime", "dims", "pooling", "vectors", "collections", "default"],
  "trash.list": [
    "id",
    "kind",
    "name",
    "collection.name",
    "counts.chunks",
    "counts.bytes",
    "deletedAt",
    "until",
  ],
  "operations.list": ["name", "permission.role", "cli", "summary"],
};

/** An answer as people read it. Text answers stay as they are. */
export function renderAnswer(operation: Operation, answer: Answer, output: Output): string {
  switch (operation.name) {
    case "system.health":
      return renderHealth(answer, output);
    case "settings.list":
      return renderSettings(answer, output);
    case "search.explain":
      return renderExplanation(answer, output);
    case "documents.read":
      // A file's text goes through a pipe as it is; a terminal gets it without control characters.
      return output.isTerminal ? showSafely(String(answer["text"])) : String(answer["text"]);
    case "ledger.export":
      return renderExport(answer);
    default:
      return Array.isArray(answer["items"]) && "nextCursor" in answer
        ? renderList(operation, answer, output)
        : renderObject(answer, output);
  }
}

/** An export is for keeping: the report's own text, or the JSON that was asked for. */
function renderExport(answer: Answer): string {
  if (typeof answer["text"] === "string") return answer["text"];
  const kept = Object.entries(answer).filter(([name]) => !added.has(name));
  return JSON.stringify(Object.fromEntries(kept), null, 2);
}

function renderList(operation: Operation, answer: Answer, output: Output): string {
  const items = answer["items"] as readonly unknown[];
  if (items.length === 0) return "nothing";
  const paths = columns[operation.name] ?? plainFields(items[0]);
  const rows = items.map((item) => paths.map((path) => showCell(path, at(item, path))));
  const titles = paths.map((path) => toTitle(path));
  const cursor = answer["nextCursor"];
  const more =
    typeof cursor === "string" ? `\n${output.style("dim", `more: add --cursor ${cursor}`)}` : "";
  return table(titles, rows, output) + more;
}

/** Names and values, one a line; what is nested is indented under its name. */
function renderObject(value: object, output: Output, indent = ""): string {
  const entries = Object.entries(value).filter(([name]) => indent !== "" || !added.has(name));
  if (entries.length === 0) return `${indent}none`;
  const widths = entries.map(([name, inner]) => (isNested(inner) ? 0 : toTitle(name).length));
  const width = Math.max(...widths);
  return entries
    .map(([name, inner]) => {
      const title = toTitle(name);
      if (isNested(inner))
        return `${indent}${output.style("bold", title)}\n${renderNested(inner, output, `${indent}  `)}`;
      const start = `${indent}${title.padEnd(width)}  `;
      const text = wrap(showCell(name, inner), output.columns, " ".repeat(start.length));
      return output.style("bold", start) + text.slice(start.length);
    })
    .join("\n");
}

function renderNested(value: unknown, output: Output, indent: string): string {
  if (!Array.isArray(value)) return renderObject(value as object, output, indent);
  if (value.length > 1 && value.some(isNested) && value.every(isFlat)) {
    const paths = Object.keys(value[0] as object);
    const rows = value.map((item) => paths.map((path) => showCell(path, at(item, path))));
    const lines = table(paths.map(toTitle), rows, output).split("\n");
    return lines.map((line) => indent + line).join("\n");
  }
  const blocks = value.map((item) =>
    isNested(item) ? renderNested(item, output, indent) : `${indent}${showCell("", item)}`,
  );
  return blocks.join(value.some(isNested) ? "\n\n" : "\n");
}

/** Fields of an object that fit on one line. */
const fieldsOnOneLine = 4;

/** What needs lines of its own: lists of objects, and objects with much in them or with objects inside. */
function isNested(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((item) => typeof item === "object" && item !== null);
  if (typeof value !== "object" || value === null) return false;
  const inner = Object.values(value);
  const isPlain = inner.every((each) => typeof each !== "object" && String(each).length <= 40);
  return !isPlain || inner.length > fieldsOnOneLine;
}

/** An object without anything inside its fields: a row of a table. */
function isFlat(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    Object.values(value).every((inner) => inner === null || typeof inner !== "object")
  );
}

function plainFields(item: unknown): string[] {
  if (typeof item !== "object" || item === null) return [""];
  return Object.entries(item)
    .filter(([, value]) => !isNested(value))
    .map(([name]) => name);
}

function at(item: unknown, path: string): unknown {
  if (path === "") return item;
  return path
    .split(".")
    .reduce<unknown>(
      (value, part) =>
        typeof value === "object" && value !== null
          ? (value as Record<string, unknown>)[part]
          : undefined,
      item,
    );
}

/** `counts.chunks` as `chunks`, `space.name` as `space`, `createdAt` as `created`, `memoryBytes` as `memory`. */
function toTitle(path: string): string {
  const parts = path.split(".");
  const last = parts.at(-1) ?? "";
  const name = parts.length > 1 && ["name", "role", "state"].includes(last) ? parts.at(-2) : last;
  return (name ?? "")
    .replace(/(?<=[a-z])(?:At|Bytes)$/, "")
    .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

/** Numbers of a long list that are shown; the rest are counted. */
const shownNumbers = 5;

function showCell(path: string, value: unknown): string {
  if (value === null || value === undefined) return "-";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return showNumber(path, value);
  return typeof value === "string" ? showText(path, value) : showParts(path, value);
}

function showNumber(path: string, value: number): string {
  if (/bytes$/i.test(path)) return showBytes(value);
  return Number.isInteger(value) ? String(value) : String(Number(value.toFixed(4)));
}

function showText(path: string, value: string): string {
  const isTime = /(?:At|time|Seen|^at|^until|^since)$/.test(path);
  if (isTime && /^\d{4}-\d\d-\d\dT/.test(value)) return showTime(value);
  return value === "" ? "-" : showSafely(value).replaceAll(/\s*\n\s*/g, " ");
}

/** A list or an object on one line. */
function showParts(path: string, value: unknown): string {
  if (!Array.isArray(value)) {
    const fields = Object.entries(value as object);
    if (fields.some(([, inner]) => typeof inner === "object"))
      return showSafely(JSON.stringify(value));
    const shown = fields.map(([name, inner]) => `${toTitle(name)} ${showCell(name, inner)}`);
    return shown.length === 0 ? "none" : shown.join(", ");
  }
  if (value.length > shownNumbers && value.every((item) => typeof item === "number")) {
    const first = value.slice(0, shownNumbers).map((item) => item.toFixed(4));
    return `${first.join(", ")}, … (${value.length} numbers)`;
  }
  return value.length === 0 ? "none" : value.map((item) => showCell(path, item)).join(", ");
}
