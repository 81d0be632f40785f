import { connect } from "node:net";

/** An answer as it came over the socket. `ended`: whether it is whole; an event stream is left when enough was seen. */
export type RawAnswer = {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  readonly ended: boolean;
};

/** How long an answer may take before the server counts as stuck, in ms: far above what the slowest operation takes. */
const patienceMs = 30_000;

/** How long an event stream is listened to, in ms. */
const streamMs = 150;

/**
 * Writes these bytes to a connection of its own and reads until the server closes it, which the bytes must ask for. null: closed
 * without an answer. Raises when there is no answer in time.
 */
export async function sendRawRequest(port: number, bytes: Uint8Array): Promise<RawAnswer | null> {
  const received: Buffer[] = [];
  const ended = await new Promise<boolean>((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const stop = (how: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      how();
    };
    const timer = setTimeout(
      () =>
        stop(() =>
          reject(
            new Error(
              `no end of the answer within ${patienceMs} ms: ${textOf(received).slice(0, 300)}`,
            ),
          ),
        ),
      patienceMs,
    );
    socket.on("connect", () => socket.write(bytes));
    socket.on("data", (chunk) => {
      const isFirst = received.length === 0;
      received.push(chunk);
      if (isFirst && /^content-type: text\/event-stream/im.test(chunk.toString("latin1")))
        setTimeout(() => stop(() => resolve(false)), streamMs);
    });
    socket.on("close", () => stop(() => resolve(true)));
    // A server that refuses a large body closes while it is still being written.
    socket.on("error", () => stop(() => resolve(true)));
  });
  return received.length === 0 ? null : parseAnswer(Buffer.concat(received), ended);
}

const textOf = (chunks: readonly Buffer[]) => Buffer.concat(chunks).toString("latin1");

function parseAnswer(bytes: Buffer, ended: boolean): RawAnswer {
  const split = bytes.indexOf("\r\n\r\n");
  const [first = "", ...lines] = bytes
    .toString("latin1", 0, split < 0 ? bytes.length : split)
    .split("\r\n");
  const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(first) ?? [];
  if (status === undefined || split < 0) throw new Error(`no HTTP answer: ${first.slice(0, 200)}`);
  // "100 Continue" comes before the answer.
  if (status === "100") return parseAnswer(bytes.subarray(split + 4), ended);
  const headers = new Map(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const body = bytes.subarray(split + 4);
  const isChunked = headers.get("transfer-encoding") === "chunked";
  return {
    status: Number(status),
    headers,
    body: (isChunked ? joinChunks(body) : body).toString("utf8"),
    ended,
  };
}

function joinChunks(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const end = bytes.indexOf("\r\n", at);
    const size = Number.parseInt(bytes.toString("latin1", at, end), 16);
    if (end < 0 || !(size > 0)) return Buffer.concat(parts);
    parts.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}
