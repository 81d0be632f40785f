import { once } from "node:events";
import { PassThrough } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type Operation, streamOperation } from "#operations/index.ts";
import { callerOf, clientGone } from "./answer-operation.ts";
import { toRecordedProblem } from "./answer-problem.ts";
import type { Door } from "./door.ts";
import { readInput } from "./read-input.ts";

/**
 * Answers with server-sent events (HTML Living Standard, section 9.2): `id` is the sequence, `data` JSON. The first event is
 * awaited before the answer begins, so that a refusal is a problem; a later failure is the event `error` with the problem.
 * Ends with the operation, the client, or the door.
 */
export async function answerStream(
  door: Door,
  operation: Operation,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { fields } = await readInput(door, operation, request);
  const signal = AbortSignal.any([clientGone(reply), door.closing]);
  const caller = callerOf(door, request, reply, signal);
  const events = streamOperation(door.app, operation, fields, caller);
  const first = await events.next();
  const frames = new PassThrough();
  void pump(door, request, { first, events, frames, signal });
  return reply
    .code(200)
    .headers({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      // Proxies that buffer would hold the events back.
      "x-accel-buffering": "no",
    })
    .send(frames);
}

type Events = ReturnType<typeof streamOperation>;
type Event = Events extends AsyncGenerator<infer One> ? One : never;

type Pump = {
  readonly first: IteratorResult<Event>;
  readonly events: Events;
  readonly frames: PassThrough;
  readonly signal: AbortSignal;
};

/** Writes events as fast as the client takes them. Never rejects: the stream is where a failure shows. */
async function pump(door: Door, request: FastifyRequest, given: Pump): Promise<void> {
  const { first, events, frames, signal } = given;
  const heartbeat = setInterval(() => {
    if (frames.writable && !frames.writableNeedDrain) frames.write(": heartbeat\n\n");
  }, door.limits.heartbeatMs);
  const stop = () => {
    clearInterval(heartbeat);
    frames.end();
  };
  signal.addEventListener("abort", stop);
  try {
    if (first.done !== true) await write(frames, toFrame(first.value), signal);
    for await (const event of events) {
      if (!frames.writable) break;
      await write(frames, toFrame(event), signal);
    }
  } catch (thrown) {
    if (frames.writable) {
      const problem = await toRecordedProblem(door, request, thrown);
      frames.write(`event: error\ndata: ${JSON.stringify(problem)}\n\n`);
    }
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

/** Waits while the client is slower than the events. */
async function write(frames: PassThrough, frame: string, signal: AbortSignal): Promise<void> {
  if (!frames.writable || frames.write(frame)) return;
  await once(frames, "drain", { signal });
}

function toFrame({ event, sequence, data }: Event): string {
  return `id: ${sequence}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
