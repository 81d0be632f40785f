import type { Duplex } from "node:stream";
import {
  HeadersTooLargeError,
  MalformedRequestError,
  RequestTimeoutError,
  toProblem,
} from "#base/errors/index.ts";
import { securityHeaders } from "./security-headers.ts";

/** What Node found wrong before there was a request: answered as a problem on the bare connection, which then ends. */
export function answerBrokenConnection(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = toProblem(toError(error.code));
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

function toError(code: string | undefined) {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT")
    return new RequestTimeoutError("The request did not arrive in time.");
  if (code === "HPE_HEADER_OVERFLOW")
    return new HeadersTooLargeError("The request line and headers take more than 16 KiB.");
  return new MalformedRequestError("This is not a valid HTTP request.");
}
