import { AsyncLocalStorage } from "node:async_hooks";
import type { Transferable } from "node:worker_threads";
import { CancelledError, type CandorError, DefectError } from "#base/errors/index.ts";
import type { TaskCall } from "./task-protocol.ts";

/** Longest delay of a timer of Node; a longer one would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

export type RunOptions = {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds of work in the thread; waiting in the queue and opening the task do not count. */
  readonly timeoutMs: number;
  readonly transfer?: readonly Transferable[];
};

/** One call with the promise that waits for it. `resolve` and `reject` may be called twice; the first counts. */
export type WorkerRequest = {
  readonly call: TaskCall;
  readonly timeoutMs: number;
  readonly transfer: readonly Transferable[];
  /** Runs something in the course of the caller: threads and their timers serve many. */
  readonly inCourse: <Value>(something: () => Value) => Value;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: CandorError) => void;
};

/** A request whose promise rejects with `CancelledError` as soon as the signal says so; `onCancel` then frees its place. */
export function createRequest<T>(
  call: TaskCall,
  options: RunOptions,
  onCancel: (request: WorkerRequest) => void,
): { promise: Promise<T>; request: WorkerRequest } {
  if (!(options.timeoutMs > 0 && options.timeoutMs <= longestTimerMs))
    throw new DefectError(
      `time limit ${options.timeoutMs} ms of "${call.method}": it must lie between 1 and ${longestTimerMs}`,
    );
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const { signal } = options;
  const cancel = (): void => {
    request.reject(new CancelledError(`"${call.method}" was cancelled`, { cause: signal?.reason }));
    onCancel(request);
  };
  const request: WorkerRequest = {
    call,
    timeoutMs: options.timeoutMs,
    transfer: options.transfer ?? [],
    inCourse: AsyncLocalStorage.snapshot(),
    resolve(value) {
      signal?.removeEventListener("abort", cancel);
      resolve(value as T);
    },
    reject(error) {
      signal?.removeEventListener("abort", cancel);
      reject(error);
    },
  };
  signal?.addEventListener("abort", cancel, { once: true });
  return { promise, request };
}
