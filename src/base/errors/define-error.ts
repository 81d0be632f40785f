import {
  CandorError,
  type Category,
  type CandorErrorOptions,
  type ErrorDefinition,
  type Severity,
} from "./candor-error.ts";

/** Every definition by code, in the order of the catalogue: the source of `docs/errors.md` and of the pages below `/docs/errors/`. */
export const errorCatalogue = new Map<string, ErrorDefinition>();

export type ErrorClass = new (message: string, options?: CandorErrorOptions) => CandorError;

/** Every class by code: an error that crossed a thread is raised again as the class it was. */
export const errorClasses = new Map<string, ErrorClass>();

/** One line of the catalogue: status, severity, category, may another try succeed, title, what to do about it. */
export function line(
  name: string,
  code: string,
  [status, severity, category, again]: readonly [number, Severity, Category, "retry" | "final"],
  title: string,
  help: string,
): ErrorClass {
  const definition = {
    code,
    status,
    severity,
    category,
    retryable: again === "retry",
    title,
    help,
  };
  errorCatalogue.set(code, definition);
  const named = class extends CandorError {
    constructor(message: string, options?: CandorErrorOptions) {
      super(definition, message, options);
      this.name = name;
    }
  };
  errorClasses.set(code, named);
  return named;
}
