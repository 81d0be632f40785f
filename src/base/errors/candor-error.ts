import { redact, redactText } from "./redact.ts";

/** How bad it is; also chooses the log level. */
export const severities = ["critical", "high", "medium", "low", "info"] as const;
export type Severity = (typeof severities)[number];

/** The families in which the ledger counts. */
export const categories = [
  "authentication",
  "authorization",
  "database",
  "network",
  "validation",
  "business_logic",
  "configuration",
  "external_api",
  "file_system",
  "agent",
  "ml_model",
  "security",
  "performance",
  "unknown",
] as const;
export type Category = (typeof categories)[number];

/** One bad field of an input: a JSON pointer to it, what is wrong, and what would be right. */
export type FieldFault = {
  readonly pointer: string;
  readonly message: string;
  readonly valid?: readonly unknown[];
};

/** What the caller can do about it; `operation` and `input` let a door offer it as a button or a command. */
export type NextStep = {
  readonly text: string;
  readonly operation?: string;
  readonly input?: unknown;
};

export type CandorErrorOptions = {
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
  readonly errors?: readonly FieldFault[];
  readonly nextStep?: NextStep;
  /** Milliseconds after which another try makes sense. */
  readonly retryAfterMs?: number;
};

/** The facts of one line of the catalogue. `help` is the page behind the problem's `type`. */
export type ErrorDefinition = {
  readonly code: string;
  readonly status: number;
  readonly severity: Severity;
  readonly category: Category;
  readonly retryable: boolean;
  readonly title: string;
  readonly help: string;
};

/** The one base of every error that Candor raises on purpose. Secrets are removed from message and details at construction. */
export class CandorError extends Error {
  readonly definition: ErrorDefinition;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly errors: readonly FieldFault[] | undefined;
  readonly nextStep: NextStep | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(definition: ErrorDefinition, message: string, options: CandorErrorOptions = {}) {
    super(redactText(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.definition = definition;
    this.details = options.details && (redact(options.details) as Record<string, unknown>);
    this.errors = options.errors && (redact(options.errors) as FieldFault[]);
    this.nextStep = options.nextStep;
    this.retryAfterMs = options.retryAfterMs;
  }

  get code(): string {
    return this.definition.code;
  }

  get status(): number {
    return this.definition.status;
  }

  get severity(): Severity {
    return this.definition.severity;
  }

  get category(): Category {
    return this.definition.category;
  }

  get retryable(): boolean {
    return this.definition.retryable;
  }
}
