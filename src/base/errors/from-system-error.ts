import type { CandorError } from "./candor-error.ts";
import { DiskFullError } from "./system-errors.ts";
import { OverloadedError } from "./work-errors.ts";

/**
 * What the operating system refused to this process as a whole, whichever file was asked for; null for everything else.
 * The message names no path: it is shown to callers, and the cause keeps it.
 */
export function fromSystemError(thrown: unknown): CandorError | null {
  if (!(thrown instanceof Error) || !("syscall" in thrown) || !("code" in thrown)) return null;
  switch (thrown.code) {
    case "EMFILE":
    case "ENFILE":
      return new OverloadedError(
        "Too many files and connections are open. Try again; `ulimit -n` shows the limit.",
        { cause: thrown, retryAfterMs: 1000 },
      );
    case "ENOSPC":
    case "EDQUOT":
      return new DiskFullError("The disk is full.", { cause: thrown, retryAfterMs: 5000 });
    default:
      return null;
  }
}
