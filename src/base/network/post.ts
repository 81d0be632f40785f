import type { IncomingHttpHeaders } from "node:http";
import { parseDestination } from "./check-destination.ts";
import { createOutgoing } from "./outgoing-client.ts";
import { parseHeaders } from "./outgoing-headers.ts";

export type PostDestination = {
  /** Named by the operator, so it may be on this machine or in its network. */
  readonly url: string;
  /** For that origin alone; they may hold a key. */
  readonly headers?: Readonly<Record<string, string>>;
  /** `application/json` unless given. */
  readonly mediaType?: string;
  /** The whole exchange; 10 s unless given. */
  readonly timeoutMs?: number;
  /** Largest answer; 64 KiB unless given. */
  readonly maxAnswerBytes?: number;
};

/** Any status: what a 400 or 503 means is the caller's to say. */
export type PostAnswer = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
};

/**
 * A sender of small bodies to one configured address. No redirect is followed. Raises DestinationRefusedError and
 * InputInvalidError at once for an address or headers that can never work; the sender raises as `request` of
 * createOutgoing does.
 */
export function createPost(
  destination: PostDestination,
): (body: string | Uint8Array, signal?: AbortSignal) => Promise<PostAnswer> {
  const { timeoutMs = 10_000, maxAnswerBytes = 64 * 1024 } = destination;
  const { href: url, origin } = parseDestination(destination.url);
  const headers = { "content-type": destination.mediaType ?? "application/json" };
  const credentials = { origin, headers: destination.headers ?? {} };
  parseHeaders(headers, credentials.headers);
  const outgoing = createOutgoing({ allow: [origin] });
  const limits = { timeoutMs, maxBytes: maxAnswerBytes, maxRedirects: 0 };
  return async (body, signal) => {
    const reply = await outgoing.request({
      method: "POST",
      url,
      headers,
      credentials,
      body,
      limits,
      ...(signal && { signal }),
    });
    const pieces: Uint8Array[] = [];
    for await (const piece of reply.body) pieces.push(piece);
    const text = Buffer.concat(pieces).toString("utf8");
    return { status: reply.status, headers: reply.headers, text };
  };
}
