import { createHash } from "node:crypto";
import { type CandorError, redact, redactText, toCandorError } from "#base/errors/index.ts";
import { newId, type OpenTables } from "#base/database/index.ts";

export type LedgerRow = OpenTables["ledger_entries"];

/** Where an error happened, as far as the recorder knows. */
export type LedgerContext = {
  readonly item?: string;
  readonly jobId?: string;
  readonly correlationId?: string;
  readonly principal?: string;
  readonly operation?: string;
  readonly method?: string;
  readonly endpoint?: string;
  readonly facts?: Readonly<Record<string, unknown>>;
};

/** A ledger entry as every door shows it. */
export type LedgerEntry = {
  id: string;
  runId: string;
  time: string;
  severity: string;
  category: string;
  code: string;
  type: string;
  message: string;
  stack: string;
  context: Record<string, unknown>;
  item: string | null;
  jobId: string | null;
  correlationId: string | null;
  principal: string | null;
  operation: string | null;
  method: string | null;
  endpoint: string | null;
  source: { file: string; line: number } | null;
  fingerprint: string;
  unexpected: boolean;
  resolved: boolean;
  resolution: { by: string; at: string; notes: string } | null;
};

/** Longest stack kept, in characters: about sixty frames. */
const longestStack = 8000;

/** Own frames that, with the code, tell one fault from another. */
const fingerprintFrames = 3;

/** The row for `thrown`: everything that can hold a secret is redacted here, before it is kept anywhere. */
export function toLedgerRow(thrown: unknown, context: LedgerContext, runId: string): LedgerRow {
  const error = toCandorError(thrown);
  const origin = error.code === "defect" && error.cause instanceof Error ? error.cause : error;
  const frames = ownFrames(origin.stack ?? "");
  const first = frames[0];
  return {
    id: newId("led"),
    run_id: runId,
    time: Date.now(),
    severity: error.severity,
    category: error.category,
    code: error.code,
    type: error.name,
    message: error.message,
    // Cut once before as well: no stack is so long that a secret cut in two could show in what is kept.
    stack: redactText(fullStack(error).slice(0, 4 * longestStack)).slice(0, longestStack),
    context: JSON.stringify(redact({ ...context.facts, details: error.details })),
    item: context.item === undefined ? null : redactText(context.item),
    job_id: context.jobId ?? null,
    correlation_id: context.correlationId === undefined ? null : redactText(context.correlationId),
    principal: context.principal ?? null,
    operation: context.operation ?? null,
    method: context.method ?? null,
    endpoint: context.endpoint === undefined ? null : redactText(context.endpoint),
    source_file: first?.file ?? null,
    source_line: first?.line ?? null,
    fingerprint: fingerprint(error, frames),
    unexpected: error.code === "defect" ? 1 : 0,
    regressed: 0,
    resolved: 0,
    resolved_by: null,
    resolved_at: null,
    resolution_notes: null,
  };
}

export function fromLedgerRow(row: LedgerRow): LedgerEntry {
  return {
    id: row.id,
    runId: row.run_id,
    time: new Date(row.time).toISOString(),
    severity: row.severity,
    category: row.category,
    code: row.code,
    type: row.type,
    message: row.message,
    stack: row.stack,
    context: JSON.parse(row.context) as Record<string, unknown>,
    item: row.item,
    jobId: row.job_id,
    correlationId: row.correlation_id,
    principal: row.principal,
    operation: row.operation,
    method: row.method,
    endpoint: row.endpoint,
    source: row.source_file === null ? null : { file: row.source_file, line: row.source_line ?? 0 },
    fingerprint: row.fingerprint,
    unexpected: row.unexpected === 1,
    resolved: row.resolved === 1,
    resolution:
      row.resolved === 1 && row.resolved_at !== null
        ? {
            by: row.resolved_by ?? "",
            at: new Date(row.resolved_at).toISOString(),
            notes: row.resolution_notes ?? "",
          }
        : null,
  };
}

/** The stack of an error and of its causes, outermost first. */
function fullStack(error: Error): string {
  const parts: string[] = [];
  let current: unknown = error;
  while (current instanceof Error && parts.length < 5) {
    parts.push(current.stack ?? `${current.name}: ${current.message}`);
    current = current.cause;
  }
  return parts.join("\ncaused by: ");
}

type Frame = { place: string; file: string; line: number };

/** Frames of Candor's own files, with paths shortened to below `src/`. */
function ownFrames(stack: string): Frame[] {
  const frames: Frame[] = [];
  for (const text of stack.split("\n").slice(0, 60)) {
    const found =
      /^\s*at (?:(.{1,200}?) \()?.{0,400}?\/((?:src|dist)\/[^\s:]{1,200}):(\d+):\d+\)?$/.exec(text);
    if (!found) continue;
    const file = found[2] ?? "";
    if (file.endsWith("define-error.ts") || file.endsWith("candor-error.ts")) continue;
    frames.push({ place: found[1] ?? "", file, line: Number(found[3]) });
  }
  return frames;
}

/** Code and top own frames without line numbers: the same fault keeps its fingerprint when lines move. */
function fingerprint(error: CandorError, frames: readonly Frame[]): string {
  const place = frames
    .slice(0, fingerprintFrames)
    .map((frame) => `${frame.file}#${frame.place}`)
    .join("|");
  return createHash("sha256").update(`${error.code}|${place}`).digest("hex").slice(0, 16);
}
