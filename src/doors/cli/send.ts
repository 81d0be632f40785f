import { randomUUID } from "node:crypto";
import {
  errorFromCode,
  InputInvalidError,
  type Notice,
  ServerUnreachableError,
} from "#base/errors/index.ts";
import type { LoopbackEvent, LoopbackReply, LoopbackRequest } from "#base/network/index.ts";
import type { Operation } from "#operations/index.ts";
import type { Context } from "./command.ts";
import { isProblem } from "./exit-codes.ts";

/** A successful answer: the operation's output with what the door adds. */
export type Answer = Readonly<Record<string, unknown>> & {
  readonly notices?: readonly Notice[];
};

export type Fields = Readonly<Record<string, unknown>>;

/** The operation of this name. Raises TypeError when the table has none, which the table test finds. */
export function operationNamed(context: Context, name: string): Operation {
  const found = context.operations.find((operation) => operation.name === name);
  if (found === undefined) throw new TypeError(`there is no operation called ${name}`);
  return found;
}

/** Runs an operation at the owner of the data directory. Raises the error that it answers; notices go to standard error. */
export async function send(
  context: Context,
  operation: Operation,
  fields: Fields,
): Promise<Answer | string> {
  const reply = await context.session().call(toRequest(context, operation, fields));
  return read(context, operation, reply);
}

/** The same for operations whose answer is an object. */
export async function ask(context: Context, name: string, fields: Fields): Promise<Answer> {
  const answer = await send(context, operationNamed(context, name), fields);
  if (typeof answer !== "string") return answer;
  throw new TypeError(`${name} answers with text where an object was expected`);
}

/** Sends a file and fields as a form. */
export async function sendForm(
  context: Context,
  name: string,
  fields: Fields,
  form: FormData,
): Promise<Answer> {
  const operation = operationNamed(context, name);
  const request = { ...toRequest(context, operation, fields), body: form };
  const answer = read(context, operation, await context.session().call(request));
  if (typeof answer !== "string") return answer;
  throw new TypeError(`${name} answers with text where an object was expected`);
}

/** The events of a streaming operation, until it ends or the connection breaks (ServerUnreachableError). */
export async function* follow(
  context: Context,
  operation: Operation,
  fields: Fields,
): AsyncGenerator<LoopbackEvent> {
  const request = toRequest(context, operation, fields);
  for await (const event of context.session().stream(request, refuse)) {
    if (event.event === "error" && isProblem(event.data)) raise(event.data);
    yield event;
  }
}

/** The HTTP request of an operation: path parameters, then query string or JSON body. */
function toRequest(
  context: Pick<Context, "interrupts">,
  operation: Operation,
  fields: Fields,
): LoopbackRequest {
  const { http } = operation;
  if (http === null) throw new TypeError(`${operation.name} has no HTTP form`);
  const inPath = new Set([...http.path.matchAll(/:(\w+)/g)].map(([, name = ""]) => name));
  const path = http.path.replaceAll(/:(\w+)/g, (_, name: string) => toPathPart(name, fields[name]));
  const rest = Object.fromEntries(
    Object.entries(fields).filter(([name, value]) => !inPath.has(name) && value !== undefined),
  );
  const takesBody = http.method === "POST" || http.method === "PATCH";
  return {
    method: http.method,
    path: http.root === true ? path : `/api/v1${path}`,
    ...(takesBody ? { body: rest } : { query: toQuery(rest) }),
    // Sent again to the next owner when this one goes away: the key makes that one effect.
    ...(operation.effect === "read" ? {} : { headers: { "idempotency-key": randomUUID() } }),
    signal: context.interrupts.signal,
  };
}

/** `.` and `..` would be read as steps of the path, however they are written. */
function toPathPart(name: string, value: unknown): string {
  const text = String(value);
  if (text === "" || text === "." || text === "..")
    throw new InputInvalidError(`${name} cannot be ${JSON.stringify(text)}.`, {
      errors: [{ pointer: `/${name}`, message: "is empty or a step of a path" }],
    });
  return encodeURIComponent(text);
}

function toQuery(fields: Fields): Record<string, string | readonly string[]> {
  const text = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.map(text) : text(value),
    ]),
  );
}

function read(context: Context, operation: Operation, reply: LoopbackReply): Answer | string {
  const { body, status } = reply;
  // Health says in its status line what its body says too: a failed one is an answer, not an error.
  const isAnswer = status < 400 || (operation.name === "system.health" && !isProblem(body));
  if (!isAnswer) refuse(reply);
  if (typeof body === "string") return body;
  if (typeof body !== "object" || body === null)
    throw new ServerUnreachableError(`The server answers ${operation.name} with no object.`);
  const answer = body as Answer;
  for (const notice of answer.notices ?? []) sayNotice(context, notice.message);
  return answer;
}

/** A remark beside the answer, on standard error. */
export function sayNotice({ terminal: { err } }: Context, text: string): void {
  err.line(`${err.style("yellow", "note:")} ${text}`);
}

function refuse(reply: LoopbackReply): never {
  if (isProblem(reply.body)) raise(reply.body);
  throw new ServerUnreachableError(
    `The server answers with status ${reply.status} and no explanation.`,
  );
}

/** The server's problem as an error here; the problem itself, with its ledger entry, is the cause. */
function raise(problem: { code: string; detail: string }): never {
  throw errorFromCode(problem.code, problem.detail, { cause: problem });
}
