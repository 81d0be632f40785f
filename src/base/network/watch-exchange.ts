import { CancelledError, type CandorError, DestinationTimeoutError } from "#base/errors/index.ts";

/** Why an exchange must stop: its deadline, the caller's abort, a limit. The first reason counts. */
export type Watch = {
  /** Its reason is the error to raise. */
  readonly signal: AbortSignal;
  readonly stop: (reason: unknown) => void;
  /** The exchange is over: no timer and no listener stays behind. */
  readonly end: () => void;
};

/** Watches one exchange from now on. */
export function startWatch(origin: string, timeoutMs: number, caller?: AbortSignal): Watch {
  const controller = new AbortController();
  const stop = (reason: unknown) => controller.abort(reason);
  const cancel = () =>
    stop(new CancelledError(`The request to ${origin} was cancelled.`, { cause: caller?.reason }));
  const deadline = setTimeout(
    () => stop(tooSlow(origin, "did not end its answer", timeoutMs)),
    timeoutMs,
  );
  caller?.addEventListener("abort", cancel, { once: true });
  if (caller?.aborted === true) cancel();
  return {
    signal: controller.signal,
    stop,
    end: () => {
      clearTimeout(deadline);
      caller?.removeEventListener("abort", cancel);
    },
  };
}

/** What `work` gives, or the watch's reason as soon as there is one. */
export async function untilStopped<T>({ signal }: Watch, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const stopped = Promise.withResolvers<never>();
  const giveUp = () => stopped.reject(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    return await Promise.race([work(), stopped.promise]);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

export function tooSlow(origin: string, what: string, milliseconds: number): CandorError {
  return new DestinationTimeoutError(`${origin} ${what} within ${milliseconds / 1000} s.`);
}
