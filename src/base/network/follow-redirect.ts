import type { IncomingMessage } from "node:http";
import { AnswerRefusedError, DestinationRefusedError } from "#base/errors/index.ts";
import { parseDestination } from "./check-destination.ts";
import { withoutBodyHeaders, withoutSecrets } from "./outgoing-headers.ts";
import { isBytes, type Message } from "./outgoing-request.ts";

/** Where an answer sends us on, null when it does not. A 300 or 304 is an answer like any other. */
export function findRedirect(answer: IncomingMessage): string | null {
  const isRedirect = [301, 302, 303, 307, 308].includes(answer.statusCode ?? 0);
  const { location } = answer.headers;
  if (!isRedirect || location === undefined) return null;
  // Node gives each byte of a header as one character; servers that do not escape send UTF-8.
  return Buffer.from(location, "latin1").toString("utf8");
}

/**
 * The message after a redirect. 303 asks for a GET; everything else repeats the method, and nothing turns a POST into a
 * GET in silence. Another origin gets neither a body nor a header that may hold a secret, and what was left out stays
 * out when a later hop leads back. The address is read as strictly as the first one; who may be there is checked when
 * it is opened.
 */
export function nextMessage(message: Message, status: number, location: string): Message {
  const { method, url: from } = message;
  const url = parseDestination(location, from);
  if (from.protocol === "https:" && url.protocol === "http:")
    throw new DestinationRefusedError(
      `${from.origin} redirects to ${url.origin}: what began encrypted does not go on in the clear.`,
    );
  const isRead = method === "GET" || method === "HEAD";
  const isSameOrigin = url.origin === from.origin;
  const headers = isSameOrigin ? message.headers : withoutSecrets(message.headers);
  if (isRead) return { ...message, url, headers };
  if (status === 303)
    return { method: "GET", url, headers: withoutBodyHeaders(headers), body: null };
  refuseRepetition(message, status, url);
  return { ...message, url, headers };
}

/** Raises when a request that changes something cannot be sent again as it was. */
function refuseRepetition({ method, url: from, body }: Message, status: number, to: URL): void {
  const redirected = `${from.origin} redirects a ${method}`;
  if (status === 301 || status === 302)
    throw new AnswerRefusedError(
      `${redirected} with ${status}, which does not say whether to send it again. Give the final address.`,
    );
  if (to.origin !== from.origin)
    throw new DestinationRefusedError(
      `${redirected} to ${to.origin}: what was meant for one is not sent to another. Give the final address.`,
    );
  if (body !== null && !isBytes(body))
    throw new AnswerRefusedError(
      `${redirected} whose body was a stream and is gone. Give the final address.`,
    );
}
