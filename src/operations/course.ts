import { randomUUID } from "node:crypto";
import type { Principal } from "#base/access/index.ts";
import type { Notice } from "#base/errors/index.ts";
import type { AuditRecord, LedgerContext } from "#base/ledger/index.ts";
import type { App, Operation } from "./define-operation.ts";

/** Who calls, through which door. */
export type Caller = {
  readonly principal: Principal | null;
  readonly signal?: AbortSignal;
  readonly requestId?: string;
  readonly idempotencyKey?: string;
  readonly method?: string;
  readonly endpoint?: string;
  /** The address that the request came from, as the door saw it. */
  readonly address?: string;
  openSession?(secret: string, expiresAt: number): void;
  endSession?(): void;
};

export type Answer = {
  readonly output: unknown;
  readonly notices: readonly Notice[];
  readonly requestId: string;
  readonly tookMs: number;
};

/** One run of an operation for one caller. */
export type Course = {
  readonly app: App;
  readonly operation: Operation;
  readonly caller: Caller;
  readonly requestId: string;
  readonly began: number;
  readonly notices: Notice[];
  /** What becomes known on the way, for the audit. */
  readonly noted: {
    input: unknown;
    /** The collection that the input names, once it was found. */
    collection: string | null;
    /** What the operation said it acts on, where its input does not. */
    target: AuditRecord["target"];
  };
};

/** One run that begins now. */
export function beginCourse(app: App, operation: Operation, caller: Caller): Course {
  return {
    app,
    operation,
    caller,
    requestId: caller.requestId ?? randomUUID(),
    began: performance.now(),
    notices: [],
    noted: { input: undefined, collection: null, target: null },
  };
}

/** A checked input and the caller who may ask for it. */
export type Asked = { readonly principal: Principal | null; readonly input: unknown };

/** Where an error of this course happened, for the ledger. */
export function toLedgerContext({ operation, caller, requestId }: Course): LedgerContext {
  return {
    operation: operation.name,
    correlationId: requestId,
    ...(caller.principal ? { principal: caller.principal.id } : {}),
    ...(caller.method === undefined ? {} : { method: caller.method }),
    ...(caller.endpoint === undefined ? {} : { endpoint: caller.endpoint }),
  };
}
