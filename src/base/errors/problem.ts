import { CandorError, type FieldFault, type NextStep, type Severity } from "./candor-error.ts";
import { fromSystemError } from "./from-system-error.ts";
import { DefectError } from "./request-errors.ts";

/** An error as every door shows it: RFC 9457 with our extensions (docs/errors.md). */
export type Problem = {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string | null;
  code: string;
  severity: Severity;
  retryable: boolean;
  retryAfterMs?: number;
  errors?: readonly FieldFault[];
  nextStep?: NextStep;
  details?: Readonly<Record<string, unknown>>;
  requestId: string | null;
};

/** Any thrown value as a catalogue error: our own as it is, everything else as a defect with the value described. */
export function toCandorError(thrown: unknown): CandorError {
  if (thrown instanceof CandorError) return thrown;
  return fromSystemError(thrown) ?? new DefectError(describeThrown(thrown), { cause: thrown });
}

/** Never throws: whatever can be thrown can be told. */
function describeThrown(thrown: unknown): string {
  if (thrown instanceof Error) return `${thrown.name}: ${thrown.message}`;
  if (typeof thrown !== "object" || thrown === null)
    return `thrown ${typeof thrown}: ${String(thrown)}`;
  const names = Object.keys(thrown).slice(0, 20);
  return `thrown object with ${names.length === 0 ? "no fields" : `the fields ${names.join(", ")}`}`;
}

/** The problem of `thrown`. A defect's message stays in the ledger: the door only names the entry. */
export function toProblem(
  thrown: unknown,
  context: { requestId?: string | null; ledgerId?: string | null } = {},
): Problem {
  const error = toCandorError(thrown);
  return {
    type: `/docs/errors/${error.code}`,
    title: error.definition.title,
    status: error.status,
    detail:
      error.code === "defect"
        ? "Something went wrong that the code did not foresee; the ledger holds the details."
        : error.message,
    instance: context.ledgerId ? `urn:candor:${context.ledgerId}` : null,
    code: error.code,
    severity: error.severity,
    retryable: error.retryable,
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    ...(error.errors === undefined ? {} : { errors: error.errors }),
    ...(error.nextStep === undefined ? {} : { nextStep: error.nextStep }),
    ...(error.details === undefined ? {} : { details: error.details }),
    requestId: context.requestId ?? null,
  };
}
