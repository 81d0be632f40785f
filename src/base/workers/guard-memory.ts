import type { Worker } from "node:worker_threads";

/** Milliseconds between two looks at a busy thread: it can allocate about 1 MB in each. */
const lookEveryMs = 20;

/**
 * What V8's own limit lies above ours, megabytes. V8 ends the whole process, not the thread, when one allocation
 * passes its limit by far (a growing array of 64 MB does). So its limit is only the last resort and ours is kept by
 * looking at the thread.
 */
export const lastResortMegabytes = 1024;

export type MemoryGuard = {
  /** Looks while the thread works; a thread at rest is left alone. */
  setBusy(busy: boolean): void;
  stop(): void;
};

/**
 * Watches heap and buffers of a thread, garbage that is not yet collected included. `onExceeded` gets the bytes in use
 * when they pass `limitBytes`; `onFailed` what went wrong when a living thread could not be asked.
 */
export function guardMemory(
  worker: Worker,
  limitBytes: number,
  on: { exceeded(bytes: number): void; failed(cause: unknown): void },
): MemoryGuard {
  let busy = false;
  let timer: NodeJS.Timeout | undefined;
  let asking = false;

  const look = async (): Promise<void> => {
    asking = true;
    try {
      const heap = await worker.getHeapStatistics();
      const bytes = heap.used_heap_size + heap.external_memory;
      if (bytes > limitBytes) on.exceeded(bytes);
    } catch (cause) {
      // A thread that ended meanwhile says so by its exit event.
      const ended =
        cause instanceof Error && "code" in cause && cause.code === "ERR_WORKER_NOT_RUNNING";
      if (!ended) on.failed(cause);
    } finally {
      asking = false;
    }
  };

  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
  };

  return {
    setBusy(now) {
      busy = now;
      if (!busy) return;
      // Stopped by the tick that finds the thread at rest, so that short calls need no timer each.
      timer ??= setInterval(() => {
        if (!busy) stop();
        else if (!asking) void look();
      }, lookEveryMs).unref();
    },
    stop,
  };
}
