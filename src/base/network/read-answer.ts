import type { IncomingMessage } from "node:http";
import { AnswerRefusedError } from "#base/errors/index.ts";
import type { Message, OutgoingLimits } from "./outgoing-request.ts";
import { toOutgoingError } from "./outgoing-failure.ts";
import { tooSlow, untilStopped, type Watch } from "./watch-exchange.ts";

/** Raises AnswerRefusedError for an answer whose head already says that it cannot be taken. */
export function checkAnswer(
  answer: IncomingMessage,
  { method, url }: Message,
  maxBytes: number,
): void {
  const hasBody = method !== "HEAD" && answer.statusCode !== 204 && answer.statusCode !== 304;
  if (!hasBody) return;
  const {
    "content-encoding": content = "",
    "transfer-encoding": transfer = "",
    "content-length": length = "0",
  } = answer.headers;
  // Unpacking would let a few bytes become many, so the plain form was asked for.
  if (!/^(?:identity)?$/i.test(content) || !/^(?:chunked)?$/i.test(transfer))
    throw new AnswerRefusedError(
      `${url.origin} answers in the encoding ${JSON.stringify(`${content}${transfer}`.slice(0, 40))}, where plain bytes were asked for.`,
    );
  if (Number(length) > maxBytes) throw tooLarge(url.origin, maxBytes);
}

/** The bytes of an answer under its limits. */
export async function* readBody(
  answer: IncomingMessage,
  origin: string,
  { maxBytes, idleMs }: OutgoingLimits,
  watch: Watch,
): AsyncGenerator<Uint8Array> {
  const pieces = (answer as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let size = 0;
  try {
    for (;;) {
      const next = await nextPiece(pieces, origin, idleMs, watch);
      if (next.done === true) return;
      size += next.value.length;
      if (size > maxBytes) throw tooLarge(origin, maxBytes);
      yield next.value;
    }
  } finally {
    answer.destroy();
    watch.end();
  }
}

/** The silence of the other side counts, not the time in which our reader is busy. */
async function nextPiece(
  pieces: AsyncIterator<Buffer>,
  origin: string,
  idleMs: number,
  watch: Watch,
): Promise<IteratorResult<Buffer>> {
  const silent = setTimeout(() => watch.stop(tooSlow(origin, "sent nothing more", idleMs)), idleMs);
  try {
    return await untilStopped(watch, () => pieces.next());
  } catch (thrown) {
    throw toOutgoingError(thrown, origin, watch);
  } finally {
    clearTimeout(silent);
  }
}

function tooLarge(origin: string, maxBytes: number): Error {
  return new AnswerRefusedError(`${origin} answers with more than ${maxBytes} bytes.`);
}
