import type { FastifyRequest } from "fastify";
import {
  InputInvalidError,
  MalformedRequestError,
  NotFoundError,
  UnsupportedMediaTypeError,
} from "#base/errors/index.ts";
import { coerceStrings } from "#operations/index.ts";
import type { Operation } from "#operations/index.ts";
import type { Door } from "./door.ts";
import { isMultipart, readMultipart } from "./read-multipart.ts";
import { hasField, inputSchema } from "./openapi/schemas.ts";

export type ReadInput = {
  /** One object for the operation's schema: path parameters and query string or body. */
  readonly fields: Record<string, unknown>;
  /** Whether the caller waits for the job's end (`?wait=true`). */
  readonly wait: boolean;
};

/** Puts together what a request says. What the operation does not know is left in, so that its schema refuses it by name. */
export async function readInput(
  door: Door,
  operation: Operation,
  request: FastifyRequest,
): Promise<ReadInput> {
  const schema = inputSchema(operation);
  const { wait, ...query } = readQuery(request.raw.url ?? "");
  const parameters = coerceStrings(schema, namedParts(request));
  const waits = takesWait(operation) ? readWait(wait) : false;
  const left = takesWait(operation) || wait === undefined ? query : { ...query, wait };
  const takesBody = operation.http?.method === "POST" || operation.http?.method === "PATCH";
  if (!takesBody) {
    refuseBody(request);
    const since = lastEventId(operation, request, left);
    const fields = coerceStrings(schema, { ...left, ...since });
    return { fields: merge(parameters, fields, "query string"), wait: waits };
  }
  refuseQuery(left, operation);
  return {
    fields: merge(parameters, await readBody(door, operation, request), "body"),
    wait: waits,
  };
}

/** The path's parameters; an empty one names nothing. */
function namedParts(request: FastifyRequest): Record<string, string> {
  const parts = request.params as Record<string, string>;
  if (Object.values(parts).includes(""))
    throw new NotFoundError("A part of the path is empty; /docs lists every path.");
  return parts;
}

async function readBody(
  door: Door,
  operation: Operation,
  request: FastifyRequest,
): Promise<Record<string, unknown>> {
  if (!isMultipart(request)) return objectOf(request.body);
  if (operation.http?.body === "multipart") return readMultipart(door, operation, request);
  throw new UnsupportedMediaTypeError(
    `${operation.name} takes no file: send its fields as application/json.`,
  );
}

function takesWait(operation: Operation): boolean {
  return operation.http?.answer === "job";
}

function readWait(wait: string | string[] | undefined): boolean {
  if (wait === undefined || wait === "false") return false;
  if (wait === "true") return true;
  throw new InputInvalidError(`wait takes true or false, not ${JSON.stringify(wait)}.`, {
    errors: [{ pointer: "/wait", message: "takes true or false", valid: [true, false] }],
  });
}

/** Reconnecting event streams say in a header where they stopped; that is the field `since`. */
function lastEventId(
  operation: Operation,
  request: FastifyRequest,
  query: Readonly<Record<string, unknown>>,
): Record<string, string> {
  const id = request.headers["last-event-id"];
  const asked = typeof id === "string" && id !== "" && query["since"] === undefined;
  return asked && hasField(operation, "since") ? { since: id } : {};
}

function merge(
  parameters: Record<string, unknown>,
  fields: Record<string, unknown>,
  place: string,
): Record<string, unknown> {
  const twice = Object.keys(parameters).find((name) => Object.hasOwn(fields, name));
  if (twice !== undefined)
    throw new InputInvalidError(`${twice} is named by the path; leave it out of the ${place}.`, {
      errors: [{ pointer: `/${twice}`, message: "is named by the path already" }],
    });
  return Object.fromEntries([...Object.entries(fields), ...Object.entries(parameters)]);
}

function objectOf(body: unknown): Record<string, unknown> {
  if (body === undefined) return {};
  if (typeof body === "object" && body !== null && !Array.isArray(body))
    return body as Record<string, unknown>;
  const found = body === null ? "null" : Array.isArray(body) ? "an array" : `a ${typeof body}`;
  throw new InputInvalidError(`The body must be a JSON object, not ${found}.`, {
    errors: [{ pointer: "", message: "must be an object" }],
  });
}

function refuseBody(request: FastifyRequest): void {
  const { "content-length": length = "0", "transfer-encoding": encoding } = request.headers;
  if (length !== "0" || encoding !== undefined)
    throw new MalformedRequestError(
      `${request.method} takes no body: put the fields into the query string.`,
    );
}

function refuseQuery(query: Readonly<Record<string, unknown>>, operation: Operation): void {
  const errors = Object.keys(query).map((name) => ({
    pointer: `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`,
    message: hasField(operation, name)
      ? "belongs into the body, not into the query string"
      : "is not a parameter of the query string",
  }));
  if (errors.length > 0)
    throw new InputInvalidError(
      `${operation.name} takes its fields from the body, not from the query string.`,
      { errors },
    );
}

/** The query string of `url` as text fields; a repeated name gives a list. Raises MalformedRequestError for broken percent-encoding. */
function readQuery(url: string): Record<string, string | string[]> {
  const at = url.indexOf("?");
  const fields = new Map<string, string | string[]>();
  const pairs = at < 0 ? [] : url.slice(at + 1).split("&");
  for (const pair of pairs) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? "" : decode(pair.slice(equals + 1));
    const known = fields.get(name);
    if (known === undefined) fields.set(name, value);
    else fields.set(name, [...(Array.isArray(known) ? known : [known]), value]);
  }
  return Object.fromEntries(fields);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch (thrown) {
    throw new MalformedRequestError(
      "The query string holds a percent sign that encodes nothing, or bytes that are not UTF-8.",
      { cause: thrown },
    );
  }
}
