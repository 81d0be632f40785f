import { once } from "node:events";
import { PassThrough } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { CredentialInvalidError } from "#base/errors/index.ts";
import { type Operation, streamOperation } from "#operations/index.ts";
import { callerOf, clientGone } from "./answer-operation.ts";
import { toRecordedProblem } from "./answer-problem.ts";
import type { Door } from "./door.ts";
import { demandOf, identify } from "./identify.ts";
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
  const gone = AbortSignal.any([clientGone(reply), door.closing]);
  const revoked = watchRights(door, request, operation, gone);
  const signal = AbortSignal.any([gone, revoked]);
  const caller = callerOf(door, request, reply, signal);
  const events = streamOperation(door.app, operation, fields, caller);
  const first = await events.next();
  const frames = new PassThrough();
  reply.raw.once("close", door.app.metrics.opened("stream"));
  void pump(door, request, { first, events, frames, signal, revoked });
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

/** The last event when the server ends before the stream does: the same address goes on once it is back. */
const closingFrame = `event: stream.end\ndata: ${JSON.stringify({ reason: "server_ending", retryAfterMs: 1000 })}\n\n`;

type Events = ReturnType<typeof streamOperation>;
type Event = Events extends AsyncGenerator<infer One> ? One : never;

type Pump = {
  readonly first: IteratorResult<Event>;
  readonly events: Events;
  readonly frames: PassThrough;
  readonly signal: AbortSignal;
  /** Aborted with the error that says why the caller may listen no longer. */
  readonly revoked: AbortSignal;
};

/**
 * Aborted, with the reason, once the caller's rights are changed or ended: whoever may still listen connects again and is
 * checked anew. What ends by itself, as tokens and keys do at their time, is found with each heartbeat.
 */
function watchRights(
  door: Door,
  request: FastifyRequest,
  operation: Operation,
  gone: AbortSignal,
): AbortSignal {
  const controller = new AbortController();
  const { principal } = request;
  const changed = () =>
    controller.abort(
      new CredentialInvalidError("What you may do has changed: connect again to go on listening."),
    );
  const forget = door.app.access.onChange((affected) => {
    const { id = "", owner = "", session = null } = principal ?? {};
    if (affected.some((one) => [id, owner, session?.id].includes(one))) changed();
  });
  const demand = demandOf(operation);
  const recheck = setInterval(() => {
    identify(door, request, demand).catch((thrown: unknown) => controller.abort(thrown));
  }, door.limits.heartbeatMs);
  const stop = () => {
    forget();
    clearInterval(recheck);
  };
  gone.addEventListener("abort", stop);
  if (gone.aborted) stop();
  controller.signal.addEventListener("abort", stop);
  return controller.signal;
}

/** Writes events as fast as the client takes them. Never rejects: the stream is where a failure shows. */
async function pump(door: Door, request: FastifyRequest, given: Pump): Promise<void> {
  const { first, events, frames, signal, revoked } = given;
  const heartbeat = setInterval(() => {
    if (frames.writable && !frames.writableNeedDrain) frames.write(": heartbeat\n\n");
  }, door.limits.heartbeatMs);
  const stop = () => {
    clearInterval(heartbeat);
    if (door.closing.aborted && frames.writable) frames.write(closingFrame);
    frames.end();
  };
  const stopUnlessRevoked = () => {
    if (!revoked.aborted) stop();
  };
  signal.addEventListener("abort", stopUnlessRevoked);
  try {
    if (first.done !== true) await write(frames, toFrame(first.value), signal);
    for await (const event of events) {
      if (!frames.writable || signal.aborted) break;
      await write(frames, toFrame(event), signal);
    }
  } catch (thrown) {
    if (!revoked.aborted) await writeError(door, request, frames, thrown);
  } finally {
    signal.removeEventListener("abort", stopUnlessRevoked);
    if (revoked.aborted) await writeError(door, request, frames, revoked.reason);
    stop();
  }
}

async function writeError(
  door: Door,
  request: FastifyRequest,
  frames: PassThrough,
  thrown: unknown,
): Promise<void> {
  if (!frames.writable) return;
  const problem = await toRecordedProblem(door, request, thrown);
  if (frames.writable) frames.write(`event: error\ndata: ${JSON.stringify(problem)}\n\n`);
}

/** Waits while the client is slower than the events. */
async function write(frames: PassThrough, frame: string, signal: AbortSignal): Promise<void> {
  if (!frames.writable || frames.write(frame)) return;
  await once(frames, "drain", { signal });
}

function toFrame({ event, sequence, data }: Event): string {
  return `id: ${sequence}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
