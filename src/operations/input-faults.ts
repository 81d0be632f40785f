import type { z } from "zod";
import { type CandorError, type FieldFault, InputInvalidError } from "#base/errors/index.ts";

type Issue = z.core.$ZodIssue;

/** The error for input that its schema refuses: every bad field with a JSON pointer (RFC 6901) and what would be right. */
export function toInputError(operation: string, error: z.ZodError): CandorError {
  const errors = error.issues.flatMap(toFaults).slice(0, 50);
  const first = errors[0];
  return new InputInvalidError(
    `${operation}: ${first ? `${first.pointer || "/"} ${first.message}` : "the input is invalid"}${errors.length > 1 ? ` (and ${errors.length - 1} more)` : ""}`,
    { errors },
  );
}

function toFaults(issue: Issue): FieldFault[] {
  const at = pointer(issue.path);
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({
      pointer: `${at}/${escapePart(key)}`,
      message: "is not a field of this input",
    }));
  if (issue.code === "invalid_value")
    return [{ pointer: at, message: issue.message, valid: [...issue.values] }];
  if (issue.code === "invalid_union") return unionFaults(issue, at);
  return [{ pointer: at, message: issue.message }];
}

/** What keeps the value from the shape it comes closest to: the one in which the fault lies deepest, with the fewest faults. */
function unionFaults(issue: Extract<Issue, { code: "invalid_union" }>, at: string): FieldFault[] {
  const depth = (issues: readonly Issue[]) => Math.max(0, ...issues.map(({ path }) => path.length));
  const [closest = []] = issue.errors.toSorted(
    (a, b) => depth(b) - depth(a) || a.length - b.length,
  );
  if (depth(closest) === 0) return [{ pointer: at, message: "fits none of the allowed shapes" }];
  return closest.flatMap(toFaults).map((fault) => ({ ...fault, pointer: `${at}${fault.pointer}` }));
}

function pointer(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${escapePart(String(part))}`).join("");
}

function escapePart(part: string): string {
  return part.replaceAll("~", "~0").replaceAll("/", "~1");
}
