import { createHash, randomUUID } from "node:crypto";
import type { z } from "zod";
import type { Principal } from "#base/access/index.ts";
import { type CollectionRow, type Scope, withIdempotency } from "#base/database/index.ts";
import {
  type CandorError,
  DefectError,
  IdempotencyInFlightError,
  IdempotencyMismatchError,
  InputInvalidError,
  type Notice,
  type Problem,
  toCandorError,
  toProblem,
} from "#base/errors/index.ts";
import { roleIncludes } from "#base/access/index.ts";
import type { App, Call, Operation, StreamEvent } from "./define-operation.ts";
import { toInputError } from "./input-faults.ts";

/** Who calls, through which door. */
export type Caller = {
  readonly principal: Principal | null;
  readonly signal?: AbortSignal;
  readonly requestId?: string;
  readonly idempotencyKey?: string;
  readonly method?: string;
  readonly endpoint?: string;
  openSession?(secret: string, expiresAt: number): void;
};

export type Answer = {
  readonly output: unknown;
  readonly notices: readonly Notice[];
  readonly requestId: string;
  readonly tookMs: number;
};

/** The scope of a caller who is nobody: nothing. */
const noScope: Scope = { principal: "", read: [], write: [] };

const ledgerIds = new WeakMap<object, string>();

/**
 * The only way to run an operation: parse the input, admit the caller, run, check the output, record a failure.
 * Raises catalogue errors; `problemOf` renders them with their ledger entry.
 */
export async function runOperation(
  app: App,
  operation: Operation,
  rawInput: unknown,
  caller: Caller,
): Promise<Answer> {
  const began = performance.now();
  const requestId = caller.requestId ?? randomUUID();
  const notices: Notice[] = [];
  return observed(app, operation, caller, requestId, began, async () => {
    const call = await prepare(app, operation, rawInput, caller, requestId, notices);
    const produce = async () => {
      const made = await operation.run(call);
      return checkOutput(operation, made);
    };
    const output = await (caller.idempotencyKey === undefined || operation.effect === "read"
      ? produce()
      : once(app, operation, call, caller.idempotencyKey, produce));
    return {
      output,
      notices,
      requestId,
      tookMs: Math.round((performance.now() - began) * 10) / 10,
    };
  });
}

/** The same for operations whose `http.answer` is `stream`: each event's data is checked. */
export async function* streamOperation(
  app: App,
  operation: Operation,
  rawInput: unknown,
  caller: Caller,
): AsyncGenerator<StreamEvent<unknown>> {
  const began = performance.now();
  const requestId = caller.requestId ?? randomUUID();
  const events = await observed(app, operation, caller, requestId, began, async () => {
    const call = await prepare(app, operation, rawInput, caller, requestId, []);
    const made = operation.run(call);
    if (!(Symbol.asyncIterator in made))
      throw new DefectError(`${operation.name} does not stream.`);
    // The first event is awaited here, so that a refusal is an answer and not a broken stream.
    return { first: await made.next(), rest: made };
  });
  if (events.first.done === true) return;
  yield { ...events.first.value, data: checkOutput(operation, events.first.value.data) };
  for await (const event of events.rest)
    yield { ...event, data: checkOutput(operation, event.data) };
}

/** The problem of what `runOperation` raised, naming its ledger entry where one was made. */
export function problemOf(thrown: unknown, requestId: string | null): Problem {
  const ledgerId =
    typeof thrown === "object" && thrown !== null ? (ledgerIds.get(thrown) ?? null) : null;
  return toProblem(thrown, { requestId, ledgerId });
}

async function observed<T>(
  app: App,
  operation: Operation,
  caller: Caller,
  requestId: string,
  began: number,
  work: () => Promise<T>,
): Promise<T> {
  try {
    const value = await work();
    app.metrics.operation(operation.name, "ok", secondsSince(began));
    return value;
  } catch (thrown) {
    const error = toCandorError(thrown);
    app.metrics.operation(operation.name, error.code, secondsSince(began));
    app.metrics.error(error.code);
    if (isRecorded(error) && !ledgerIds.has(error))
      ledgerIds.set(
        error,
        await app.ledger.record(error, {
          operation: operation.name,
          correlationId: requestId,
          ...(caller.principal ? { principal: caller.principal.id } : {}),
          ...(caller.method === undefined ? {} : { method: caller.method }),
          ...(caller.endpoint === undefined ? {} : { endpoint: caller.endpoint }),
        }),
      );
    throw error;
  }
}

function secondsSince(began: number): number {
  return (performance.now() - began) / 1000;
}

/** Ordinary refusals of input (a wrong field, a missing thing, no key) are answers, not incidents; everything else is kept. */
function isRecorded(error: CandorError): boolean {
  const ordinary = ["validation", "business_logic", "authentication"].includes(error.category);
  return !(ordinary && (error.severity === "low" || error.severity === "info"));
}

async function prepare(
  app: App,
  operation: Operation,
  rawInput: unknown,
  caller: Caller,
  requestId: string,
  notices: Notice[],
): Promise<Call<unknown>> {
  const { permission } = operation;
  const principal = app.access.admit(caller.principal, permission);
  const parsed = operation.input.safeParse(rawInput);
  if (!parsed.success) throw toInputError(operation.name, parsed.error as z.ZodError);
  const input: unknown = parsed.data;
  const own = permission !== "public" && principal ? permission.own : undefined;
  return {
    input,
    app,
    principal,
    scope: principal ? await app.access.scopeOf(principal) : noScope,
    own: {
      owner: own && principal && !roleIncludes(principal.role, own.all) ? principal.id : "anybody",
    },
    collection: await allowedCollection(app, operation, principal, input),
    signal: caller.signal ?? new AbortController().signal,
    requestId,
    notice: (notice) => notices.push(notice),
    openSession: (secret, expiresAt) => caller.openSession?.(secret, expiresAt),
  };
}

/** The collection an input names, when the operation demands a right on it. */
async function allowedCollection(
  app: App,
  { permission }: Operation,
  principal: Principal | null,
  input: unknown,
): Promise<CollectionRow | null> {
  if (permission === "public" || !permission.grant || !principal) return null;
  const named =
    typeof input === "object" && input !== null && "collection" in input ? input.collection : null;
  if (typeof named !== "string") return null;
  const collection = await app.search.findCollection(named);
  await app.access.demand(principal, { id: collection.id, called: named }, permission.grant.right);
  return collection;
}

function checkOutput(operation: Operation, made: unknown): unknown {
  const checked = operation.output.safeParse(made);
  if (checked.success) return checked.data;
  const faults = (checked.error as z.ZodError).issues
    .slice(0, 5)
    .map((issue) => `/${issue.path.map(String).join("/")} ${issue.message}`);
  throw new DefectError(
    `${operation.name} made an answer that its schema refuses: ${faults.join("; ")}`,
  );
}

const inFlight = new Set<string>();

/** Exactly one effect per idempotency key: a replay gets the stored answer, another input is refused. */
async function once(
  app: App,
  operation: Operation,
  call: Call<unknown>,
  key: string,
  produce: () => Promise<unknown>,
): Promise<unknown> {
  if (!/^[\x21-\x7e]{1,200}$/.test(key))
    throw new InputInvalidError("Idempotency-Key takes 1 to 200 printable ASCII characters.", {
      errors: [{ pointer: "/Idempotency-Key", message: "1 to 200 printable ASCII characters" }],
    });
  const principal = call.principal?.id ?? "";
  const inputHash = createHash("sha256").update(JSON.stringify(call.input)).digest("hex");
  const slot = `${principal}\n${operation.name}\n${key}`;
  if (inFlight.has(slot))
    throw new IdempotencyInFlightError("The first request with this key is still running.", {
      retryAfterMs: 1000,
    });
  inFlight.add(slot);
  try {
    const stored = await storedAnswer(app, principal, operation.name, key);
    if (stored && stored.input_hash !== inputHash)
      throw new IdempotencyMismatchError(
        "This Idempotency-Key was used for another request. Use a new key.",
      );
    if (stored) return replay(operation, call, JSON.parse(stored.answer));
    const request = {
      principal,
      operation: operation.name,
      key,
      inputHash,
      keep: withoutSecret,
      stored: false,
    };
    return await withIdempotency(request, async () => {
      const output = await produce();
      // Nothing was written, or the effect keeps no answer of its own: the key is spent all the same.
      if (!request.stored) await app.database.write(({ answer }) => answer(output));
      return output;
    });
  } finally {
    inFlight.delete(slot);
  }
}

function storedAnswer(app: App, principal: string, operation: string, key: string) {
  const kept = Date.now() - 24 * 3_600_000;
  return app.database.read
    .selectFrom("idempotency")
    .select(["input_hash", "answer"])
    .where("principal_id", "=", principal)
    .where("operation", "=", operation)
    .where("key", "=", key)
    .where("created_at", ">", kept)
    .executeTakeFirst();
}

function replay(operation: Operation, call: Call<unknown>, answer: unknown): unknown {
  if (operation.name === "keys.create")
    call.notice({ code: "key_shown_once", message: "The key was shown in the first answer only." });
  return checkOutput(operation, answer);
}

/** An API key is shown once: a stored answer holds null in its place. */
function withoutSecret(answer: unknown): unknown {
  const holdsKey =
    typeof answer === "object" && answer !== null && "key" in answer && "prefix" in answer;
  return holdsKey ? { ...answer, key: null } : answer;
}
