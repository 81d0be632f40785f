import type { FlatError } from "#base/errors/index.ts";

/** What a thread is started with. */
export type TaskStart = { readonly openData: unknown };

/** One call to a thread. */
export type TaskCall = {
  readonly id: number;
  readonly method: string;
  readonly payload: unknown;
};

/** What a thread says. After `open_failed` it does nothing more. */
export type TaskReply =
  | { readonly kind: "ready" }
  | { readonly kind: "open_failed"; readonly error: FlatError }
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failure"; readonly id: number; readonly error: FlatError };
