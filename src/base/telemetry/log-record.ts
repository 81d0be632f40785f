import { CandorError, redact, redactText, toCandorError } from "#base/errors/index.ts";
import type { WorkContext } from "./work-context.ts";

export type LogFields = Readonly<Record<string, unknown>>;

/** What a line says of the request or job in whose course it is written. */
export function describeContext(context: WorkContext, redaction: boolean): LogFields {
  const { requestId, jobId, principal, span } = context;
  const traceId = span?.traceId ?? context.traceId;
  const clean = redaction ? redactText : String;
  return {
    ...(requestId === undefined ? {} : { requestId: clean(requestId) }),
    // Both are ids of our own making.
    ...(jobId === undefined ? {} : { jobId }),
    ...(principal === undefined ? {} : { principal }),
    ...(traceId === undefined ? {} : { trace_id: traceId }),
    ...(span === undefined ? {} : { span_id: span.spanId }),
  };
}

/** Longest message and longest stack that are logged, in UTF-16 characters. */
const longestMessage = 4000;
const longestStack = 8000;

/** How far a chain of causes, or a list of errors inside one, is followed. */
const deepestCause = 4;

/** Names that every line has: a field cannot take their place. */
const ownNames: ReadonlySet<string> = new Set(["level", "time", "message"]);

/** The text of a line, secrets removed, cut to its beginning when longer than 4,000 characters. */
export function toMessage(message: string, redaction: boolean): string {
  return cut(redaction ? redactText(message) : message, longestMessage);
}

/**
 * The fields of a line: secrets removed, errors with code, stack and causes. `context` (of a child logger) stands first; a field with the
 * name of a context field or of a line's own part is renamed `field_<name>`, so that no value can pose as another's.
 */
export function toRecord(
  context: LogFields,
  fields: LogFields,
  redaction: boolean,
): Record<string, unknown> {
  const record: Record<string, unknown> = { ...context };
  for (const [name, value] of Object.entries(fields)) {
    const clean = redaction ? redactText(name) : name;
    // What only repeats the context is no forgery of it.
    if (Object.hasOwn(context, clean) && context[clean] === value) continue;
    const taken = ownNames.has(clean) || Object.hasOwn(record, clean);
    record[taken ? `field_${clean}` : clean] = toField(name, value, redaction);
  }
  return record;
}

function toField(name: string, value: unknown, redaction: boolean): unknown {
  if (value instanceof Error) return describeError(value, redaction);
  return redaction ? (redact({ [name]: value }) as LogFields)[redactText(name)] : value;
}

/** An error as a line shows it. `unexpected` tells a defect from an error that Candor raises on purpose. */
function describeError(error: Error, redaction: boolean, depth = 0): LogFields {
  const clean = redaction ? redactText : String;
  const known = error instanceof CandorError ? error : null;
  const inner = [
    error.cause,
    ...(error instanceof AggregateError ? (error.errors as unknown[]) : []),
  ];
  const causes = depth >= deepestCause ? [] : inner.filter((cause) => cause instanceof Error);
  const code = known?.code ?? ("code" in error ? error.code : undefined); // a driver's may be a number
  return {
    name: clean(error.name),
    ...(typeof code === "string" || typeof code === "number" ? { code: clean(`${code}`) } : {}),
    ...(known === null ? {} : { severity: known.severity, category: known.category }),
    ...(depth > 0 ? {} : { unexpected: toCandorError(error).code === "defect" }),
    message: toMessage(error.message, redaction),
    ...(known?.details === undefined ? {} : { details: known.details }),
    ...(known?.errors === undefined ? {} : { errors: known.errors }),
    ...(error.stack === undefined ? {} : { stack: cut(clean(error.stack), longestStack) }),
    ...(causes.length === 0
      ? {}
      : { causes: causes.slice(0, 10).map((cause) => describeError(cause, redaction, depth + 1)) }),
  };
}

function cut(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest)}… (${text.length} characters)`;
}
