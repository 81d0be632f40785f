import { setTimeout as wait } from "node:timers/promises";
import { CancelledError, toCandorError } from "#base/errors/index.ts";

/** Tries after the first. */
const retries = 3;
const firstDelayMs = 100;
const longestDelayMs = 5000;

/**
 * Runs `work` and, while it fails with a retryable code, up to three times more with full jitter
 * (uniform in 0 … min(cap, base·2ⁿ); "Exponential Backoff And Jitter", AWS Architecture Blog 2015).
 * Raises the last error, or CancelledError.
 */
export async function withRetry<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let tried = 0; ; tried += 1) {
    if (signal.aborted) throw new CancelledError("Cancelled on request.");
    try {
      return await work();
    } catch (thrown) {
      const error = toCandorError(thrown);
      if (!error.retryable || tried === retries) throw error;
      const ceiling = Math.min(longestDelayMs, firstDelayMs * 2 ** tried);
      await pause(Math.max(error.retryAfterMs ?? 0, Math.random() * ceiling), signal);
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(ms, undefined, { signal });
  } catch (thrown) {
    if (signal.aborted) throw new CancelledError("Cancelled on request.", { cause: thrown });
    throw thrown;
  }
}
