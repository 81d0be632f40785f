import type { Duplex } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import {
  AddressTooLongError,
  CandorError,
  HeadersTooLargeError,
  MalformedRequestError,
  PayloadTooLargeError,
  type Problem,
  RequestTimeoutError,
  toCandorError,
  toProblem,
  UnsupportedMediaTypeError,
} from "#base/errors/index.ts";
import { problemOf } from "#operations/index.ts";
import type { Door } from "./door.ts";
import { securityHeaders } from "./security-headers.ts";

/** Answers with the problem of `thrown`. What is not the caller's fault gets its ledger entry here, unless the operation made one. */
export async function answerProblem(
  door: Door,
  request: FastifyRequest,
  reply: FastifyReply,
  thrown: unknown,
): Promise<FastifyReply> {
  const problem = await toRecordedProblem(door, request, thrown);
  // A large body that is not wanted any more is not read to its end either.
  if (!request.raw.complete && bodyBytes(request) > door.limits.jsonBytes)
    reply.header("connection", "close");
  if (problem.status === 401) reply.header("www-authenticate", 'Bearer realm="candor"');
  if (problem.retryAfterMs !== undefined)
    reply.header("retry-after", String(Math.max(1, Math.ceil(problem.retryAfterMs / 1000))));
  return reply
    .code(problem.status)
    .header("content-type", "application/problem+json; charset=utf-8")
    .header("cache-control", "no-store")
    .send(JSON.stringify(problem));
}

/** The problem of what was thrown at or above the door, with its ledger entry where one is due. */
export async function toRecordedProblem(
  door: Door,
  request: FastifyRequest,
  thrown: unknown,
): Promise<Problem> {
  const error = toDoorError(thrown, request);
  door.app.metrics.error(error.code, error);
  const problem = problemOf(error, request.id);
  if (problem.status < 500 || problem.instance !== null) return problem;
  const ledgerId = await door.app.ledger.record(error, {
    correlationId: request.id,
    method: request.method,
    endpoint: routeOf(request),
    ...(request.principal ? { principal: request.principal.id } : {}),
  });
  return toProblem(error, { requestId: request.id, ledgerId });
}

/** The route's pattern: never the address itself, which may hold what people searched for. */
export function routeOf(request: FastifyRequest): string {
  return request.routeOptions?.url ?? "unknown";
}

/** How large the body says it is; infinite when it does not say. */
function bodyBytes(request: FastifyRequest): number {
  const { "content-length": length, "transfer-encoding": encoding } = request.headers;
  return encoding === undefined ? Number(length ?? 0) : Infinity;
}

/** Fastify's own refusals as errors of the catalogue. */
function toDoorError(thrown: unknown, request: FastifyRequest): CandorError {
  if (thrown instanceof CandorError) return thrown;
  const code = fieldOf(thrown, "code");
  const status = fieldOf(thrown, "statusCode");
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE")
    return new UnsupportedMediaTypeError(
      "The Content-Type is not accepted here: send application/json, or multipart/form-data where the operation takes a file.",
    );
  if (code === "FST_ERR_MAX_PARAM_LENGTH")
    return new AddressTooLongError("A part of the path is longer than any name or key.");
  if (status === 413)
    return new PayloadTooLargeError(
      code === "FST_ERR_CTP_BODY_TOO_LARGE"
        ? `The body is larger than the ${request.routeOptions.bodyLimit} bytes that this operation takes. Send less at once.`
        : `The form is larger than this operation takes: ${messageOf(thrown)}. Send less at once.`,
    );
  if (code === "FST_ERR_BAD_URL")
    return new MalformedRequestError("The path holds a percent sign that encodes nothing.");
  if (typeof status === "number" && status >= 400 && status < 500)
    return new MalformedRequestError(`The body cannot be read: ${messageOf(thrown)}.`);
  return toCandorError(thrown);
}

function fieldOf(thrown: unknown, name: "code" | "statusCode"): unknown {
  return typeof thrown === "object" && thrown !== null
    ? (thrown as Record<string, unknown>)[name]
    : undefined;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message.replace(/\.$/, "") : "unknown";
}

/** What Node found wrong before there was a request: answered as a problem on the bare connection, which then ends. */
export function answerBrokenConnection(
  door: Door,
  error: NodeJS.ErrnoException,
  socket: Duplex,
): void {
  const { code = "" } = error;
  const isHandshake = !/^(?:HPE|ERR_HTTP)_/.test(code) && code !== "ECONNRESET";
  if (isHandshake) door.app.metrics.refused(code.endsWith("TIMEOUT") ? "too_slow" : "malformed");
  // Where TLS has not begun, an answer would wait for it for ever.
  if (isHandshake || code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const isSlow = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
  const isLarge = error.code === "HPE_HEADER_OVERFLOW";
  door.app.metrics.refused(isSlow ? "too_slow" : isLarge ? "too_large" : "malformed");
  const problem = toProblem(toConnectionError(error.code));
  const body = JSON.stringify(problem);
  const head = Object.entries(securityHeaders).map(([name, value]) => `${name}: ${value}`);
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${reasons[problem.status] ?? "Bad Request"}`,
      "content-type: application/problem+json; charset=utf-8",
      `content-length: ${Buffer.byteLength(body)}`,
      "connection: close",
      ...head,
      "",
      body,
    ].join("\r\n"),
    () => socket.destroy(),
  );
}

const reasons: Readonly<Record<number, string>> = {
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};

function toConnectionError(code: string | undefined) {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT")
    return new RequestTimeoutError("The request did not arrive in time.");
  if (code === "HPE_HEADER_OVERFLOW")
    return new HeadersTooLargeError("The request line and headers take more than 16 KiB.");
  return new MalformedRequestError("This is not a valid HTTP request.");
}
