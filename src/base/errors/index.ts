export * from "./request-errors.ts";
export * from "./system-errors.ts";
export * from "./work-errors.ts";
export { errorCatalogue } from "./define-error.ts";
export { CandorError, categories, severities } from "./candor-error.ts";
export type {
  CandorErrorOptions,
  Category,
  ErrorDefinition,
  FieldFault,
  NextStep,
  Severity,
} from "./candor-error.ts";
export { noticeCatalogue } from "./notices.ts";
export type { Notice, NoticeCode } from "./notices.ts";
export { toCandorError, toProblem } from "./problem.ts";
export type { Problem } from "./problem.ts";
export { errorFromCode, flattenError, reviveError } from "./revive-error.ts";
export type { FlatError } from "./revive-error.ts";
export { isSecretName, protectSecret, redact, redacted, redactText } from "./redact.ts";
