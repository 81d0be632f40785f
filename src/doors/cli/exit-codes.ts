import { CancelledError, toCandorError, toProblem, type Problem } from "#base/errors/index.ts";
import type { Job } from "#base/jobs/index.ts";

/** What a command ends with; scripts rely on these. */
export const exitCodes = {
  ok: { code: 0, meaning: "Done. A search without a hit is done too." },
  failed: { code: 1, meaning: "It failed; the error on standard error says why." },
  usage: { code: 2, meaning: "The command line, an input or the configuration is wrong." },
  refused: { code: 3, meaning: "Not allowed: no key, a wrong key, or too small a role or right." },
  partial: { code: 4, meaning: "Some items succeeded and some failed." },
  cancelled: { code: 130, meaning: "Cancelled, by Ctrl-C or by somebody else." },
} as const;

export type Exit = keyof typeof exitCodes;

/** Faults of what was asked or how Candor was set up: the same command would fail again. */
const usageCodes: ReadonlySet<string> = new Set([
  "input_invalid",
  "malformed_request",
  "configuration_invalid",
  "port_in_use",
  "data_directory_in_use",
]);

/** How a command ends that raised. */
export function exitOfFailure(thrown: unknown): Exit {
  const problem = problemOfFailure(thrown);
  if (thrown instanceof CancelledError || problem.code === "cancelled") return "cancelled";
  if (usageCodes.has(problem.code)) return "usage";
  return problem.status === 401 || problem.status === 403 ? "refused" : "failed";
}

/** How a command ends whose job ended. */
export function exitOfJob({ state }: Job): Exit {
  switch (state) {
    case "succeeded":
      return "ok";
    case "partial":
    case "cancelled":
      return state;
    case "failed":
    case "interrupted":
      return "failed";
    case "queued":
    case "running":
      return "ok";
  }
}

/** How a command ends by its answer: bulk answers count what failed. */
export function exitOfAnswer(answer: unknown): Exit {
  if (typeof answer !== "object" || answer === null || "state" in answer) return "ok";
  const { done, failed } = answer as { done?: unknown; failed?: unknown };
  if (typeof done !== "number" || typeof failed !== "number" || failed === 0) return "ok";
  return done === 0 ? "failed" : "partial";
}

/** The problem as the server told it, or as this process makes it of what was thrown here. */
export function problemOfFailure(thrown: unknown): Problem {
  const told = thrown instanceof Error ? thrown.cause : null;
  if (isProblem(told)) return told;
  const error = toCandorError(thrown);
  const problem = toProblem(error);
  // A defect of this process is in no ledger: its message is all there is.
  return error.code === "defect" ? { ...problem, detail: error.message } : problem;
}

export function isProblem(value: unknown): value is Problem {
  return (
    typeof value === "object" &&
    value !== null &&
    "code" in value &&
    typeof value.code === "string" &&
    "detail" in value &&
    typeof value.detail === "string" &&
    "status" in value
  );
}
