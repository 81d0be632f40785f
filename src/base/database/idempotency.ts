import { AsyncLocalStorage } from "node:async_hooks";

/** How long an answer is kept for a repeated request. */
export const idempotencyKeptMs = 24 * 3_600_000;

/** The request that carries an Idempotency-Key: its effect's transaction stores the answer with it. */
export type IdempotentRequest = {
  readonly principal: string;
  readonly operation: string;
  readonly key: string;
  readonly inputHash: string;
  /** What of the answer may be kept: secrets shown once are taken out. */
  readonly keep: (answer: unknown) => unknown;
  stored: boolean;
};

const requests = new AsyncLocalStorage<IdempotentRequest>();

/** Runs `work` so that a `WriteHandle.answer` inside it stores the answer under the request's key. */
export function withIdempotency<T>(request: IdempotentRequest, work: () => Promise<T>): Promise<T> {
  return requests.run(request, work);
}

/** The idempotent request in whose course this code runs, if any. */
export function currentIdempotentRequest(): IdempotentRequest | undefined {
  return requests.getStore();
}
