import type { z } from "zod";
import { type Principal, roleIncludes } from "#base/access/index.ts";
import type { CollectionRow, Scope } from "#base/database/index.ts";
import {
  type CandorError,
  DefectError,
  type Problem,
  toCandorError,
  toProblem,
} from "#base/errors/index.ts";
import { inSpan, withContext } from "#base/telemetry/index.ts";
import { demandCollection } from "./allowed-collection.ts";
import { keepFailure } from "./audit-operation.ts";
import { checkOutput } from "./check-output.ts";
import {
  type Answer,
  type Asked,
  beginCourse,
  type Caller,
  type Course,
  toLedgerContext,
} from "./course.ts";
import type { App, Call, Operation, StreamEvent } from "./define-operation.ts";
import { toInputError } from "./input-faults.ts";
import { keepEffect } from "./keep-effect.ts";

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
  const course = beginCourse(app, operation, caller);
  const { requestId, began, notices } = course;
  return observed(course, async () => {
    const asked = admit(course, rawInput);
    const produce = async () => {
      const made = await operation.run(await prepare(course, asked));
      return checkOutput(operation, made);
    };
    // A replay is answered before anything is looked up: what the first request deleted is not there any more.
    const output = await (operation.effect === "read"
      ? produce()
      : keepEffect(course, asked, produce));
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
  const course = beginCourse(app, operation, caller);
  const events = await observed(course, async () => {
    const call = await prepare(course, admit(course, rawInput));
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

/** Counts and keeps that a door refused a caller before it read the input, as where `runOperation` refuses. Raises `refusal`. */
export function refuseOperation(
  app: App,
  operation: Operation,
  caller: Caller,
  refusal: unknown,
): Promise<never> {
  return observed(beginCourse(app, operation, caller), () => Promise.reject(refusal));
}

/** The problem of what `runOperation` raised, naming its ledger entry where one was made. */
export function problemOf(thrown: unknown, requestId: string | null): Problem {
  const ledgerId =
    typeof thrown === "object" && thrown !== null ? (ledgerIds.get(thrown) ?? null) : null;
  return toProblem(thrown, { requestId, ledgerId });
}

/** Runs `work` in the caller's course: what it writes to log and ledger names the request, and it is a span of the request's trace. */
function observed<T>(course: Course, work: () => Promise<T>): Promise<T> {
  const { operation, requestId, caller } = course;
  const context = { requestId, ...(caller.principal ? { principal: caller.principal.id } : {}) };
  const span = {
    name: `operation ${operation.name}`,
    attributes: { "candor.operation": operation.name },
  };
  return withContext(context, () => inSpan(span, () => counted(course, work)));
}

async function counted<T>(course: Course, work: () => Promise<T>): Promise<T> {
  const { app, operation, began } = course;
  try {
    const value = await work();
    app.metrics.operation(operation.name, "ok", performance.now() - began);
    return value;
  } catch (thrown) {
    const error = toCandorError(thrown);
    app.metrics.operation(operation.name, error.code, performance.now() - began);
    void keepFailure(course, error);
    throw await recorded(course, error);
  }
}

/** Counts the error and keeps it in the ledger where it is an incident; the same error only once. */
async function recorded(course: Course, error: CandorError): Promise<CandorError> {
  const { app } = course;
  app.metrics.error(error.code, error);
  if (isRecorded(error) && !ledgerIds.has(error))
    ledgerIds.set(error, await app.ledger.record(error, toLedgerContext(course)));
  return error;
}

/** Ordinary refusals of input (a wrong field, a missing thing, no key) are answers, not incidents; everything else is kept. */
function isRecorded(error: CandorError): boolean {
  const ordinary = ["validation", "business_logic", "authentication"].includes(error.category);
  const mild = error.severity === "low" || error.severity === "info";
  return error.status >= 500 || !(ordinary && mild);
}

function admit(course: Course, rawInput: unknown): Asked {
  const { app, operation, caller } = course;
  const principal = app.access.admit(caller.principal, operation.permission);
  const parsed = operation.input.safeParse(rawInput);
  if (!parsed.success) throw toInputError(operation.name, parsed.error as z.ZodError);
  course.noted.input = parsed.data;
  return { principal, input: parsed.data };
}

async function prepare(course: Course, { principal, input }: Asked): Promise<Call<unknown>> {
  const { app, operation, caller, requestId, notices } = course;
  const { permission } = operation;
  const own = permission !== "public" && principal ? permission.own : undefined;
  return {
    input,
    app,
    principal,
    scope: principal ? await app.access.scopeOf(principal) : noScope,
    own: {
      owner:
        own && principal && !roleIncludes(principal.role, own.all) ? principal.owner : "anybody",
    },
    collection: await allowedCollection(course, principal, input),
    signal: caller.signal ?? new AbortController().signal,
    requestId,
    notice: (notice) => notices.push(notice),
    target: (type, id) => {
      course.noted.target = { type, id };
    },
    openSession: (secret, expiresAt) => caller.openSession?.(secret, expiresAt),
    endSession: () => caller.endSession?.(),
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
  return demandCollection(app, principal, named, permission.grant.right, (id) => {
    course.noted.collection = id;
  });
}
