import type { Operation } from "#operations/define-operation.ts";
import { renderHealth } from "./render-health.ts";
import { renderExplanation } from "./render-search.ts";
import { renderSettings } from "./render-settings.ts";
import type { Answer } from "./send.ts";
import {
  displayWidth,
  showBytes,
  showSafely,
  showTime,
  table,
  wrap,
  type Output,
} from "./terminal.ts";

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
    default:
      return Array.isArray(answer["items"]) && "nextCursor" in answer
        ? renderList(operation, answer, output)
        : renderObject(answer, output);
  }
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
export function renderObject(value: object, output: Output, indent = ""): string {
  const entries = Object.entries(value).filter(([name]) => indent !== "" || !added.has(name));
  if (entries.length === 0) return `${indent}none`;
  const width = Math.max(
    ...entries.map(([name, inner]) => (isNested(inner) ? 0 : displayWidth(toTitle(name)))),
  );
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
  return value
    .map((item) =>
      isNested(item) ? renderNested(item, output, indent) : `${indent}${showCell("", item)}`,
    )
    .join(value.some(isNested) ? "\n\n" : "\n");
}

/** Objects and lists of them; lists of plain values stand on one line. */
function isNested(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((item) => typeof item === "object" && item !== null);
  return typeof value === "object" && value !== null && Object.keys(value).length > 0;
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

/** `counts.chunks` as `chunks`, `space.name` as `space`, `createdAt` as `created`, `ledgerId` as `ledger id`. */
function toTitle(path: string): string {
  const parts = path.split(".");
  const last = parts.at(-1) ?? "";
  const name = parts.length > 1 && ["name", "role", "state"].includes(last) ? parts.at(-2) : last;
  return (name ?? "")
    .replace(/(?<=[a-z])At$/, "")
    .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

/** Numbers of a long list that are shown; the rest are counted. */
const shownNumbers = 5;

function showCell(path: string, value: unknown): string {
  if (value === null || value === undefined) return "-";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return /bytes$/i.test(path) ? showBytes(value) : String(value);
  if (typeof value === "string") {
    const isTime = /(?:At|time|Seen|^at|until)$/.test(path) && /^\d{4}-\d\d-\d\dT/.test(value);
    return isTime ? showTime(value) : showSafely(value).replaceAll(/\s*\n\s*/g, " ");
  }
  if (!Array.isArray(value)) return showSafely(JSON.stringify(value));
  if (value.length > shownNumbers && value.every((item) => typeof item === "number"))
    return `${value
      .slice(0, shownNumbers)
      .map((item) => item.toFixed(4))
      .join(", ")}, … (${value.length} numbers)`;
  return value.length === 0 ? "none" : value.map((item) => showCell(path, item)).join(", ");
}
