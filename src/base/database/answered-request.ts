import { AsyncLocalStorage } from "node:async_hooks";
import type { Kysely } from "kysely";
import type { Tables } from "./tables.ts";

/** A request whose effect's own transaction also keeps what belongs to it: its audit entry, and its answer for a repetition. */
export type AnsweredRequest = {
  /** Writes what belongs to the effect that answers with `value`. */
  readonly keep: (tables: Kysely<Tables>, value: unknown) => Promise<void>;
  /** Whether a committed transaction kept it. */
  stored: boolean;
};

const requests = new AsyncLocalStorage<AnsweredRequest>();

/** Runs `work` so that the first `WriteHandle.answer` inside it keeps what belongs to the request. */
export function withAnswer<T>(request: AnsweredRequest, work: () => Promise<T>): Promise<T> {
  return requests.run(request, work);
}

/** The request in whose course this code runs, if it has an effect to answer. */
export function currentRequest(): AnsweredRequest | undefined {
  return requests.getStore();
}
