/** What happens on Ctrl-C and on a request to end. */
export type Interrupts = {
  /** Aborted by the first signal, unless something takes it in its own way. */
  readonly signal: AbortSignal;
  /** Runs `work`; a first signal meanwhile calls `onFirst` instead of aborting everything. */
  during<T>(onFirst: () => void, work: () => Promise<T>): Promise<T>;
};

/**
 * Listens to SIGINT, SIGTERM and SIGHUP: the first ends what runs in good order, the second leaves at once with `leave`.
 */
export function listenForInterrupts(leave: () => void): Interrupts {
  const controller = new AbortController();
  const state = { seen: false, onFirst: () => controller.abort() };
  const onSignal = () => {
    if (state.seen) return leave();
    state.seen = true;
    state.onFirst();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  return {
    signal: controller.signal,
    during: async (onFirst, work) => {
      const before = state.onFirst;
      state.onFirst = onFirst;
      try {
        return await work();
      } finally {
        state.onFirst = before;
      }
    },
  };
}
