import { FormatInvalidError } from "#base/errors/index.ts";

/** One server-sent event; `data` is its JSON, `id` as the server numbered it. */
export type LoopbackEvent = {
  readonly event: string;
  readonly id: string | null;
  readonly data: unknown;
};

/** Longest event accepted, in UTF-16 characters; the largest honest one is a job with its result, below 1 MB. */
const longestEvent = 16 * 1024 * 1024;

/**
 * Server-sent events out of the text of a stream, in whatever pieces it arrives (WHATWG HTML, 9.2.6).
 * An event that the end of the stream cuts is dropped, as the specification says. Raises FormatInvalidError for data
 * that is not JSON and for an event above the limit.
 */
export async function* readEvents(pieces: AsyncIterable<string>): AsyncGenerator<LoopbackEvent> {
  let waiting = "";
  let fields: Fields = { event: "message", id: null, data: [] };
  for await (const piece of pieces) {
    waiting += piece;
    // A return at the very end may be the first half of a line ending: it waits for what follows.
    const whole = waiting.endsWith("\r") ? waiting.slice(0, -1) : waiting;
    const lines = whole.split(/\r\n|\n|\r/);
    waiting = (lines.pop() ?? "") + waiting.slice(whole.length);
    for (const line of lines) {
      if (line !== "") {
        takeLine(fields, line);
        continue;
      }
      if (fields.data.length > 0) yield toEvent(fields);
      fields = { event: "message", id: fields.id, data: [] };
    }
    const held = waiting.length + fields.data.reduce((sum, part) => sum + part.length, 0);
    if (held > longestEvent)
      throw new FormatInvalidError(
        `An event of the stream is longer than ${longestEvent} characters.`,
      );
  }
}

type Fields = { event: string; id: string | null; data: string[] };

function takeLine(fields: Fields, line: string): void {
  const colon = line.indexOf(":");
  if (colon === 0) return; // a comment, which keeps the connection awake
  const name = colon === -1 ? line : line.slice(0, colon);
  const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (name === "event") fields.event = value;
  if (name === "id") fields.id = value;
  if (name === "data") fields.data.push(value);
}

function toEvent({ event, id, data }: Fields): LoopbackEvent {
  const text = data.join("\n");
  try {
    return { event, id, data: JSON.parse(text) as unknown };
  } catch (thrown) {
    throw new FormatInvalidError(`The data of the event ${event} is not JSON.`, { cause: thrown });
  }
}
