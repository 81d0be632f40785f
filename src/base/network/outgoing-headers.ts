import { validateHeaderName, validateHeaderValue } from "node:http";
import { InputInvalidError } from "#base/errors/index.ts";

export type HeaderValues = Readonly<Record<string, string>>;

/** Headers that decide how the message is framed, where it goes and how it comes back: the client's own. */
const ownHeaders = new Set([
  "accept-encoding",
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** All that goes on to another origin. Any other header may hold a secret: Authorization, Cookie, or one of somebody's own. */
const travellingHeaders = new Set([
  "accept",
  "accept-language",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "range",
  "user-agent",
]);

/** Headers by lower-case name. Raises InputInvalidError, which never shows a value. */
export function parseHeaders(...groups: readonly HeaderValues[]): HeaderValues {
  const parsed = new Map<string, string>();
  for (const [given, value] of groups.flatMap((group) => Object.entries(group))) {
    const name = given.toLowerCase();
    if (!isSendable(name, value))
      throw new InputInvalidError(
        `The header ${JSON.stringify(name)} has characters that HTTP cannot carry.`,
      );
    if (ownHeaders.has(name))
      throw new InputInvalidError(`The header ${name} is set by Candor itself. Leave it out.`);
    if (parsed.has(name)) throw new InputInvalidError(`The header ${name} is given twice.`);
    parsed.set(name, value);
  }
  return Object.fromEntries(parsed);
}

/** What of `headers` may be seen by another origin than the one they were meant for. */
export function withoutSecrets(headers: HeaderValues): HeaderValues {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => travellingHeaders.has(name)),
  );
}

/** What of `headers` is left when the body they describe is not sent. */
export function withoutBodyHeaders(headers: HeaderValues): HeaderValues {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !name.startsWith("content-")),
  );
}

function isSendable(name: string, value: string): boolean {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return true;
  } catch (thrown) {
    if (thrown instanceof TypeError) return false;
    throw thrown;
  }
}
