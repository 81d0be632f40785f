import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { AnswerRefusedError } from "#base/errors/index.ts";
import {
  checkDestination,
  parseOrigin,
  resolveBySystem,
  type Resolve,
} from "./check-destination.ts";
import { findRedirect, nextMessage } from "./follow-redirect.ts";
import { openHop } from "./open-hop.ts";
import { toOutgoingError } from "./outgoing-failure.ts";
import {
  defaultLimits,
  firstMessage,
  type Message,
  type OutgoingLimits,
  type OutgoingRequest,
} from "./outgoing-request.ts";
import { checkAnswer, readBody } from "./read-answer.ts";
import { startWatch, type Watch } from "./watch-exchange.ts";

export type OutgoingReply = {
  /** Whatever it is, save redirects, which were followed. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Where the answer came from after all redirects. */
  readonly finalUrl: string;
  /**
   * The bytes as they arrive, to be read once. Raises AnswerRefusedError at the byte that is too many, and the errors
   * of `request`. Leaving the loop closes the connection; a body that nobody reads is dropped at the time limit.
   */
  readonly body: AsyncIterable<Uint8Array>;
  /** Closes the connection without reading on. May be called twice. */
  readonly close: () => void;
};

export type OutgoingOptions = {
  /** Origins (`http://127.0.0.1:4318`) that the operator named: their addresses and ports are not judged. */
  readonly allow?: readonly string[];
  readonly resolve?: Resolve;
};

export type Outgoing = {
  readonly request: (request: OutgoingRequest) => Promise<OutgoingReply>;
};

/**
 * The way out. Every address that a name has is checked before the connection, which goes to a checked address and
 * nowhere else; each redirect is checked again. No proxy of the environment is used and no connection used twice.
 *
 * `request` raises DestinationRefusedError (not opened, or its certificate is not valid), DestinationUnreachableError,
 * DestinationTimeoutError, AnswerRefusedError (too large, compressed, endless redirects), InputInvalidError (headers)
 * and CancelledError after an abort.
 */
export function createOutgoing({
  allow = [],
  resolve = resolveBySystem,
}: OutgoingOptions = {}): Outgoing {
  const allowed = new Set(allow.map(parseOrigin));
  return {
    request: async (request) => {
      const first = firstMessage(request);
      const limits = { ...defaultLimits, ...request.limits };
      const watch = startWatch(first.url.origin, limits.timeoutMs, request.signal);
      try {
        return await follow(first, limits, { allowed, resolve, watch });
      } catch (thrown) {
        watch.end();
        throw thrown;
      }
    },
  };
}

type Surroundings = {
  readonly allowed: ReadonlySet<string>;
  readonly resolve: Resolve;
  readonly watch: Watch;
};

async function follow(
  first: Message,
  limits: OutgoingLimits,
  surroundings: Surroundings,
): Promise<OutgoingReply> {
  let message = first;
  for (let redirects = 0; ; redirects++) {
    const { origin } = message.url;
    const answer = await open(message, limits, surroundings);
    const status = answer.statusCode ?? 0;
    const location = findRedirect(answer);
    try {
      if (location === null) return toReply(answer, message, limits, surroundings.watch);
      if (redirects >= limits.maxRedirects)
        throw new AnswerRefusedError(
          `${origin} redirects once more, where ${limits.maxRedirects} redirects are followed. Give the final address.`,
        );
      message = nextMessage(message, status, location);
    } catch (thrown) {
      answer.destroy();
      throw thrown;
    }
    answer.destroy();
  }
}

async function open(
  message: Message,
  limits: OutgoingLimits,
  { allowed, resolve, watch }: Surroundings,
): Promise<IncomingMessage> {
  try {
    const check = () => checkDestination(message.url, allowed, resolve);
    return await openHop(message, check, limits, watch);
  } catch (thrown) {
    throw toOutgoingError(thrown, message.url.origin, watch);
  }
}

function toReply(
  answer: IncomingMessage,
  message: Message,
  limits: OutgoingLimits,
  watch: Watch,
): OutgoingReply {
  checkAnswer(answer, message, limits.maxBytes);
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    finalUrl: message.url.href,
    body: readBody(answer, message.url.origin, limits, watch),
    close: () => {
      answer.destroy();
      watch.end();
    },
  };
}
