import { lookup } from "node:dns";
import {
  request as openPlain,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestOptions,
} from "node:http";
import { request as openTls } from "node:https";
import { connect as connectTls } from "node:tls";
import { isIP, type LookupFunction } from "node:net";
import { CancelledError, CandorError, ServerUnreachableError } from "#base/errors/index.ts";
import { readEvents, type LoopbackEvent } from "./read-events.ts";

/** A Candor of this machine: its address and the key of its principal `local`. */
export type LoopbackServer = {
  readonly url: string;
  readonly key: string;
  /** Where `url` is https: the SHA-256 fingerprints of the certificates to accept, whatever their names and dates. */
  readonly pins?: readonly string[] | undefined;
};

export type LoopbackRequest = {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** From the root, without a query: `/api/v1/search`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[]>>;
  /** Sent as JSON, a form as multipart. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Longest time without an answer, in milliseconds; five minutes unless given. */
  readonly timeoutMs?: number;
};

export type LoopbackReply = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The parsed JSON, or the text of a plain text answer; null where there is no body. */
  readonly body: unknown;
};

/** Longest time until a connection is there: both ends are this machine. */
const connectMs = 5_000;

/** Longest time without an answer, the default of `server.requestTimeoutSeconds`. */
const answerMs = 300_000;

/** Largest answer accepted; the largest honest one, a page of 100 documents with their texts, is below 40 MB. */
const largestAnswerBytes = 128 * 1024 * 1024;

/**
 * Sends one request and reads the whole JSON answer, whatever its status. Raises ServerUnreachableError when the server is
 * not there, goes away or answers with what Candor never does, CancelledError after an abort.
 */
export async function call(
  server: LoopbackServer,
  request: LoopbackRequest,
): Promise<LoopbackReply> {
  return translated(server, request, async () => {
    const answer = await open(server, request);
    const bytes = await readAll(server, answer);
    return {
      status: answer.statusCode ?? 0,
      headers: answer.headers,
      body: bytes.length === 0 ? null : parseAnswer(server, answer, bytes),
    };
  });
}

/**
 * Sends one request and yields the server-sent events of its answer. A refusal ends it before the first event with
 * `refused`, which gets the answer and raises. Ends where the server ends the stream; raises as `call` does when the
 * connection breaks. There is no time limit between events: a dead process closes its connections.
 */
export async function* stream(
  server: LoopbackServer,
  request: LoopbackRequest,
  refused: (reply: LoopbackReply) => never,
): AsyncGenerator<LoopbackEvent> {
  const answer = await translated(server, request, () =>
    open(server, { ...request, headers: { ...request.headers, accept: "text/event-stream" } }),
  );
  if (!answer.headers["content-type"]?.startsWith("text/event-stream")) {
    const bytes = await translated(server, request, () => readAll(server, answer));
    const body = bytes.length === 0 ? null : parseAnswer(server, answer, bytes);
    refused({ status: answer.statusCode ?? 0, headers: answer.headers, body });
  }
  answer.setEncoding("utf8");
  const events = readEvents(answer as AsyncIterable<string>);
  try {
    for (;;) {
      const next = await translated(server, request, () => events.next());
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    answer.destroy();
  }
}

/** Raises ServerUnreachableError unless `url` is this machine, over plain HTTP or with pins over TLS: the local key goes nowhere else. */
export function assertLoopback(url: string, pins?: readonly string[]): URL {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const host = parsed?.hostname.replace(/^\[|\]$/g, "") ?? "";
  const scheme = pins === undefined ? "http:" : "https:";
  if (parsed?.protocol === scheme && (host === "localhost" || isLoopbackAddress(host)))
    return parsed;
  throw new ServerUnreachableError(
    `${JSON.stringify(url)} is not an address of this machine such as http://127.0.0.1:7340; the key of the data directory is sent nowhere else.`,
  );
}

function isLoopbackAddress(address: string): boolean {
  if (isIP(address) === 4) return address.startsWith("127.");
  return isIP(address) === 6 && (address === "::1" || address.startsWith("::ffff:7f"));
}

/** Names are looked up like any other, and answered only with addresses of this machine. */
const lookupLoopback: LookupFunction = (name, options, answer) => {
  lookup(name, { ...options, all: true }, (error, found) => {
    const usable = error === null ? found.filter(({ address }) => isLoopbackAddress(address)) : [];
    const [first] = usable;
    if (first === undefined)
      answer(error ?? new Error(`${name} is not an address of this machine`), "", 0);
    else if (options.all === true) answer(null, usable);
    else answer(null, first.address, first.family);
  });
};

function open(server: LoopbackServer, request: LoopbackRequest): Promise<IncomingMessage> {
  const base = assertLoopback(server.url, server.pins);
  const openRequest = server.pins === undefined ? openPlain : openTls;
  return encode(request.body).then(
    (encoded) =>
      new Promise((resolve, reject) => {
        const sent = openRequest(addressOf(base, request), {
          method: request.method,
          headers: {
            accept: "application/json",
            authorization: `Bearer ${server.key}`,
            ...(encoded && {
              "content-type": encoded.mediaType,
              "content-length": encoded.bytes.length,
            }),
            ...request.headers,
          },
          // A connection of its own for each request: none stays open to keep the process alive.
          ...(server.pins === undefined
            ? { agent: false, lookup: lookupLoopback }
            : { createConnection: connectPinned(server.pins) }),
          ...(request.signal && { signal: request.signal }),
        });
        const limit = (milliseconds: number, what: string) =>
          setTimeout(
            () => sent.destroy(new Error(`${what} within ${milliseconds / 1000} s`)),
            milliseconds,
          );
        const connecting = limit(connectMs, "no connection");
        const answering = limit(request.timeoutMs ?? answerMs, "no answer");
        sent.on("socket", (socket) => {
          if (socket.connecting) socket.once("connect", () => clearTimeout(connecting));
          else clearTimeout(connecting);
        });
        sent.on("response", (answer) => {
          clearTimeout(answering);
          resolve(answer);
        });
        sent.on("error", reject);
        sent.on("close", () => {
          clearTimeout(connecting);
          clearTimeout(answering);
        });
        sent.end(encoded?.bytes);
      }),
  );
}

/**
 * Opens a connection over TLS and hands it over only when the server has shown the certificate that it said it would, in a file
 * that nobody else can write: before that nothing is sent, the key least of all. Names and dates of the certificate say
 * nothing more here, for it is made for the names that others use.
 */
function connectPinned(pins: readonly string[]): RequestOptions["createConnection"] {
  return ({ host, port }, connected) => {
    const socket = connectTls({
      host: (host ?? "").replace(/^\[|\]$/g, ""),
      port: Number(port),
      lookup: lookupLoopback,
      minVersion: "TLSv1.2",
      rejectUnauthorized: false,
    });
    socket.once("error", (error) => connected(error, socket));
    socket.once("secureConnect", () => {
      const shown = socket.getPeerX509Certificate()?.fingerprint256;
      if (shown !== undefined && pins.includes(shown)) connected(null, socket);
      else socket.destroy(new Error(`it shows another certificate (${shown ?? "none"})`));
    });
    return undefined;
  };
}

function addressOf(base: URL, { path, query = {} }: LoopbackRequest): URL {
  const address = new URL(base);
  address.pathname = path;
  for (const [name, value] of Object.entries(query))
    for (const each of typeof value === "string" ? [value] : value)
      address.searchParams.append(name, each);
  return address;
}

async function encode(body: unknown): Promise<{ bytes: Buffer; mediaType: string } | null> {
  if (body === undefined) return null;
  if (!(body instanceof FormData))
    return { bytes: Buffer.from(JSON.stringify(body)), mediaType: "application/json" };
  const encoded = new Response(body);
  const mediaType = encoded.headers.get("content-type") ?? "multipart/form-data";
  return { bytes: Buffer.from(await encoded.arrayBuffer()), mediaType };
}

async function readAll(server: LoopbackServer, answer: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > largestAnswerBytes)
      throw new ServerUnreachableError(
        `${server.url} answers with more than ${largestAnswerBytes} bytes. Ask for less at once.`,
      );
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function parseAnswer(server: LoopbackServer, answer: IncomingMessage, bytes: Buffer): unknown {
  const mediaType = answer.headers["content-type"] ?? "";
  if (/^application\/(?:[\w.-]+\+)?json\b/.test(mediaType))
    return JSON.parse(bytes.toString("utf8"));
  // Reports are plain text; the request's number tells them from what other programs say.
  if (mediaType.startsWith("text/plain") && answer.headers["x-request-id"] !== undefined)
    return bytes.toString("utf8");
  throw new ServerUnreachableError(
    `${server.url} answers with ${answer.statusCode} and ${mediaType || "no media type"}: that is not Candor.`,
  );
}

/** The work's own errors as they are; an abort and everything that happens on the wire under its name. */
async function translated<T>(
  server: LoopbackServer,
  request: LoopbackRequest,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (request.signal?.aborted === true)
      throw new CancelledError("The request was cancelled.", { cause: thrown });
    if (thrown instanceof CandorError || !(thrown instanceof Error)) throw thrown;
    const code = "code" in thrown && typeof thrown.code === "string" ? ` (${thrown.code})` : "";
    throw new ServerUnreachableError(
      `The server at ${server.url} does not answer ${request.method} ${request.path}: ${thrown.message}${code}`,
      { cause: thrown },
    );
  }
}
