import { createHash, randomUUID } from "node:crypto";
import type { z } from "zod";
import type { Principal } from "#base/access/index.ts";
import {
  type CollectionRow,
  idempotencyKeptMs,
  type Scope,
  withIdempotency,
} from "#base/database/index.ts";
import {
  type CandorError,
  DefectError,
  IdempotencyInFlightError,
  IdempotencyMismatchError,
  InputInvalidError,
  NotFoundError,
  type Notice,
  PermissionDeniedError,
  type Problem,
  toCandorError,
  toProblem,
} from "#base/errors/index.ts";
import { roleIncludes } from "#base/access/index.ts";
import type { LedgerContext } from "#base/ledger/index.ts";
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
  const course: Course = { app, operation, caller, requestId, began };
  return observed(course, async () => {
    const asked = admit(course, rawInput);
    const produce = async () => {
      const made = await operation.run(await prepare(course, asked, notices));
      return checkOutput(operation, made);
    };
    // A replay is answered before anything is looked up: what the first request deleted is not there any more.
    const output = await (caller.idempotencyKey === undefined || operation.effect === "read"
      ? produce()
      : once(course, asked, notices, caller.idempotencyKey, produce));
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
  const course: Course = { app, operation, caller, requestId, began };
  const events = await observed(course, async () => {
    const call = await prepare(course, admit(course, rawInput), []);
    const made = operation.run(call);
    if (!(Symbol.asyncIterator in made))
      throw new DefectError(`${operation.name} does not stream.`);
    // The first event is awaited here, so that a refusal is an answer and not a broken stream.
    return { first: await made.next(), rest: made };
  });
  const { first, rest } = events;
  try {
    for (let next = first; next.done !== true; next = await rest.next())
      yield { ...next.value, data: checkOutput(operation, next.value.data) };
  } catch (thrown) {
    throw await recorded(course, toCandorError(thrown));
  } finally {
    // Whoever stops listening, at the first event too, ends what the operation follows.
    await rest.return(undefined);
  }
}

/** The problem of what `runOperation` raised, naming its ledger entry where one was made. */
export function problemOf(thrown: unknown, requestId: string | null): Problem {
  const ledgerId =
    typeof thrown === "object" && thrown !== null ? (ledgerIds.get(thrown) ?? null) : null;
  return toProblem(thrown, { requestId, ledgerId });
}

/** One run of an operation for one caller. */
type Course = {
  readonly app: App;
  readonly operation: Operation;
  readonly caller: Caller;
  readonly requestId: string;
  readonly began: number;
};

async function observed<T>(course: Course, work: () => Promise<T>): Promise<T> {
  const { app, operation, began } = course;
  try {
    const value = await work();
    app.metrics.operation(operation.name, "ok", performance.now() - began);
    return value;
  } catch (thrown) {
    const error = toCandorError(thrown);
    app.metrics.operation(operation.name, error.code, performance.now() - began);
    throw await recorded(course, error);
  }
}

/** Counts the error and keeps it in the ledger where it is an incident; the same error only once. */
async function recorded(course: Course, error: CandorError): Promise<CandorError> {
  const { app } = course;
  app.metrics.error(error.code);
  if (isRecorded(error) && !ledgerIds.has(error))
    ledgerIds.set(error, await app.ledger.record(error, contextOf(course)));
  return error;
}

function contextOf({ operation, caller, requestId }: Course): LedgerContext {
  return {
    operation: operation.name,
    correlationId: requestId,
    ...(caller.principal ? { principal: caller.principal.id } : {}),
    ...(caller.method === undefined ? {} : { method: caller.method }),
    ...(caller.endpoint === undefined ? {} : { endpoint: caller.endpoint }),
  };
}

/** Ordinary refusals of input (a wrong field, a missing thing, no key) are answers, not incidents; everything else is kept. */
function isRecorded(error: CandorError): boolean {
  const ordinary = ["validation", "business_logic", "authentication"].includes(error.category);
  const mild = error.severity === "low" || error.severity === "info";
  return error.status >= 500 || !(ordinary && mild);
}

/** A checked input and the caller who may ask for it. */
type Asked = { readonly principal: Principal | null; readonly input: unknown };

function admit({ app, operation, caller }: Course, rawInput: unknown): Asked {
  const principal = app.access.admit(caller.principal, operation.permission);
  const parsed = operation.input.safeParse(rawInput);
  if (!parsed.success) throw toInputError(operation.name, parsed.error as z.ZodError);
  return { principal, input: parsed.data };
}

async function prepare(
  course: Course,
  { principal, input }: Asked,
  notices: Notice[],
): Promise<Call<unknown>> {
  const { app, operation, caller, requestId } = course;
  const { permission } = operation;
  const own = permission !== "public" && principal ? permission.own : undefined;
  return {
    input,
    app,
    principal,
    scope: principal ? await app.access.scopeOf(principal) : noScope,
    own: {
      owner: own && principal && !roleIncludes(principal.role, own.all) ? principal.id : "anybody",
    },
    collection: await allowedCollection(course, principal, input),
    signal: caller.signal ?? new AbortController().signal,
    requestId,
    notice: (notice) => notices.push(notice),
    openSession: (secret, expiresAt) => caller.openSession?.(secret, expiresAt),
  };
}

/** The collection an input names, when the operation demands a right on it. */
async function allowedCollection(
  course: Course,
  principal: Principal | null,
  input: unknown,
): Promise<CollectionRow | null> {
  const { app } = course;
  const { permission } = course.operation;
  if (permission === "public" || !permission.grant || !principal) return null;
  const named =
    typeof input === "object" && input !== null && "collection" in input ? input.collection : null;
  if (typeof named !== "string") return null;
  const collection = await app.search.findCollection(named);
  try {
    await app.access.demand(
      principal,
      { id: collection.id, called: named },
      permission.grant.right,
    );
  } catch (thrown) {
    // To the caller the collection is not there; the ledger knows that somebody without a right asked for it. Not
    // awaited: the answer must not take longer than for a name that does not exist.
    if (thrown instanceof NotFoundError)
      void app.ledger.record(
        new PermissionDeniedError(`${principal.id} has no right on collection ${collection.id}.`),
        contextOf(course),
      );
    throw thrown;
  }
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
  { app, operation }: Course,
  asked: Asked,
  notices: Notice[],
  key: string,
  produce: () => Promise<unknown>,
): Promise<unknown> {
  if (!/^[\x21-\x7e]{1,200}$/.test(key))
    throw new InputInvalidError("Idempotency-Key takes 1 to 200 printable ASCII characters.", {
      errors: [{ pointer: "/Idempotency-Key", message: "1 to 200 printable ASCII characters" }],
    });
  // A stored answer belongs to one caller, and a replayed sign-in would answer without opening a session.
  if (operation.permission === "public" || asked.principal === null)
    throw new InputInvalidError(`${operation.name} takes no Idempotency-Key.`, {
      errors: [{ pointer: "/Idempotency-Key", message: "is not taken here" }],
    });
  const principal = asked.principal.id;
  const inputHash = hashInput(asked.input);
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
    if (stored) return replay(operation, notices, JSON.parse(stored.answer));
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

/** The same input has the same hash; bytes of a file count by their own hash. */
function hashInput(input: unknown): string {
  // `this[name]` and not the value: a Buffer has turned itself into a list of numbers by then.
  const text = JSON.stringify(
    input,
    function replace(this: Record<string, unknown>, name: string, value: unknown) {
      const held = this[name];
      return held instanceof Uint8Array ? createHash("sha256").update(held).digest("hex") : value;
    },
  );
  return createHash("sha256").update(text).digest("hex");
}

function storedAnswer(app: App, principal: string, operation: string, key: string) {
  const kept = Date.now() - idempotencyKeptMs;
  return app.database.read
    .selectFrom("idempotency")
    .select(["input_hash", "answer"])
    .where("principal_id", "=", principal)
    .where("operation", "=", operation)
    .where("key", "=", key)
    .where("created_at", ">", kept)
    .executeTakeFirst();
}

function replay(operation: Operation, notices: Notice[], answer: unknown): unknown {
  if (operation.name === "keys.create")
    notices.push({
      code: "key_shown_once",
      message: "The key was shown in the first answer only.",
    });
  return checkOutput(operation, answer);
}

/** An API key is shown once: a stored answer holds null in its place. */
function withoutSecret(answer: unknown): unknown {
  const holdsKey =
    typeof answer === "object" && answer !== null && "key" in answer && "prefix" in answer;
  return holdsKey ? { ...answer, key: null } : answer;
}
