import type { CandorError, CandorErrorOptions } from "./candor-error.ts";
import { errorClasses } from "./define-error.ts";
import { toCandorError } from "./problem.ts";
import { redactText } from "./redact.ts";
import { DefectError } from "./request-errors.ts";

/** An error as plain data: it survives `postMessage`, which keeps neither class nor fields of our errors. */
export type FlatError = {
  readonly code: string;
  readonly message: string;
  readonly options: Omit<CandorErrorOptions, "cause">;
  /** Where it was thrown, or what it was thrown for: text only, for the ledger. */
  readonly stack: string | undefined;
};

/** The catalogue error of `code`. A code that is not in the catalogue gives a `DefectError` that names it. */
export function errorFromCode(
  code: string,
  message: string,
  options: CandorErrorOptions = {},
): CandorError {
  const named = errorClasses.get(code);
  if (named !== undefined) return new named(message, options);
  return new DefectError(`error code "${code}" is not in the catalogue: ${message}`, options);
}

/** Any thrown value as plain data; what is not of the catalogue becomes a defect with the value described. */
export function flattenError(thrown: unknown): FlatError {
  const error = toCandorError(thrown);
  const origin = error.cause instanceof Error ? error.cause : error;
  return {
    code: error.code,
    message: error.message,
    options: {
      ...(error.details === undefined ? {} : { details: error.details }),
      ...(error.errors === undefined ? {} : { errors: error.errors }),
      ...(error.nextStep === undefined ? {} : { nextStep: error.nextStep }),
      ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    },
    stack: origin.stack === undefined ? undefined : redactText(origin.stack),
  };
}

/** The error that `flattenError` took apart, as its own class; the original stack is its cause. */
export function reviveError(flat: FlatError): CandorError {
  const cause = new Error(flat.message);
  if (flat.stack !== undefined) cause.stack = flat.stack;
  return errorFromCode(flat.code, flat.message, { ...flat.options, cause });
}
