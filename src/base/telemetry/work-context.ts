import { AsyncLocalStorage } from "node:async_hooks";
import type { Span } from "./open-traces.ts";

/** In whose course code runs. Every log line and ledger entry that is written meanwhile carries it. */
export type WorkContext = {
  /** The id of the request; of a job: of the request that started it. */
  readonly requestId?: string;
  readonly jobId?: string;
  /** The id of who called. */
  readonly principal?: string;
  /** 32 hexadecimal digits, from the caller's `traceparent` or our own. */
  readonly traceId?: string;
  /** The span that is open, when traces are configured. */
  readonly span?: Span;
};

const storage = new AsyncLocalStorage<WorkContext>();
const none: WorkContext = {};

/** What the running code belongs to; empty outside of any request and job. */
export function currentContext(): WorkContext {
  return storage.getStore() ?? none;
}

/** Runs `work`, and everything it awaits or starts, with `added` beside what is known already. */
export function withContext<T>(added: WorkContext, work: () => T): T {
  return storage.run({ ...storage.getStore(), ...added }, work);
}

/**
 * Runs `work` as if nobody had asked for it: for what serves many (timers, threads, queues), so that it does not carry the id of
 * whoever came first. With `context`, in that one alone: for what was handed over by a queue.
 */
export function withoutContext<T>(work: () => T, context: WorkContext = none): T {
  return storage.run(context, work);
}
