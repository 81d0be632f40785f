import { DestinationRefusedError, InputInvalidError } from "#base/errors/index.ts";
import { parseDestination, parseOrigin } from "./check-destination.ts";
import { parseHeaders, type HeaderValues } from "./outgoing-headers.ts";

export type OutgoingLimits = {
  /** Largest body of the answer, in bytes. */
  readonly maxBytes: number;
  /** From the call to the last byte of the answer, all hops together; at most 2^31-1 ms. */
  readonly timeoutMs: number;
  /** Until a connection is there, for each hop: name, TCP and TLS. */
  readonly connectMs: number;
  /** Longest silence of the other side once connected. */
  readonly idleMs: number;
  readonly maxRedirects: number;
};

/** For answers of a few pages; what expects more, or wants to wait less, says so with its request. */
export const defaultLimits: OutgoingLimits = {
  maxBytes: 8 * 1024 * 1024,
  timeoutMs: 60_000,
  connectMs: 10_000,
  idleMs: 30_000,
  maxRedirects: 5,
};

export type OutgoingBody = string | Uint8Array | AsyncIterable<Uint8Array>;

export type OutgoingRequest = {
  /** GET unless given. */
  readonly method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: string;
  /** Another origin sees only those that are known to hold no secret (Accept, Range and their like). */
  readonly headers?: HeaderValues;
  /** A stream is sent once, so it follows no redirect. No body goes to another origin. */
  readonly body?: OutgoingBody;
  /** Headers for one origin alone, which must be that of `url`; a redirect away from it drops them for good. */
  readonly credentials?: { readonly origin: string; readonly headers: HeaderValues };
  readonly limits?: Partial<OutgoingLimits>;
  readonly signal?: AbortSignal;
};

/** What is sent on one hop. */
export type Message = {
  readonly method: NonNullable<OutgoingRequest["method"]>;
  readonly url: URL;
  readonly headers: HeaderValues;
  readonly body: OutgoingBody | null;
};

/** The message of the first hop, credentials among its headers. Raises when they belong to another origin. */
export function firstMessage(request: OutgoingRequest): Message {
  const { method = "GET", headers = {}, credentials, body = null } = request;
  const url = parseDestination(request.url);
  const owner = credentials === undefined ? url.origin : parseOrigin(credentials.origin);
  if (owner !== url.origin)
    throw new DestinationRefusedError(
      `The credentials belong to ${owner} and are not sent to ${url.origin}.`,
    );
  if (body !== null && (method === "GET" || method === "HEAD"))
    throw new InputInvalidError(`A ${method} carries no body. Use POST.`);
  const given = parseHeaders(headers, credentials?.headers ?? {});
  return { method, url, headers: { "user-agent": "candor", ...given }, body };
}

export function isBytes(body: OutgoingBody): body is string | Uint8Array {
  return typeof body === "string" || body instanceof Uint8Array;
}
