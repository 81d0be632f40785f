import type { FastifyReply } from "fastify";
import { CancelledError, OverloadedError } from "#base/errors/index.ts";
import type { Metrics } from "#base/telemetry/index.ts";
import type { HttpLimits } from "./limits.ts";

/** How many calls of one operation run and wait at the same time. */
export type Bound = { readonly running: number; readonly waiting: number };

/**
 * Operations that take much of the machine. What is above `running` waits in order, what is above both is refused before its
 * body is read. Searches and additions run 64 at a time so that group commits have something to group; a login holds 19 MB
 * while its password is hashed.
 */
const bounds: Readonly<Record<string, Bound>> = {
  "auth.login": { running: 4, waiting: 32 },
  "embeddings.embed": { running: 16, waiting: 512 },
  "search.query": { running: 64, waiting: 512 },
  "search.explain": { running: 8, waiting: 64 },
  "documents.add": { running: 64, waiting: 256 },
  "documents.addBatch": { running: 4, waiting: 32 },
};

/** When somebody who was refused may try again, in ms: queues of this length are worked off in about a second. */
const againMs = 1000;

export type Load = {
  /** Lets a request in. Raises OverloadedError. */
  enter(): void;
  /**
   * Sets a place among the calls of `operation` (null: no operation) and memory for a large body aside, until the answer has
   * ended. Raises OverloadedError, before anything of the body is read.
   */
  reserve(reply: FastifyReply, operation: string | null, bulkBytes: number): void;
  /** Runs `work` when it is its turn among the calls of the operation. Raises CancelledError when `signal` is aborted while it waits. */
  inTurn<T>(operation: string, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
};

/**
 * Refuses quickly what cannot be done in time, so that what was accepted keeps its speed. Overload is: one turn of the event
 * loop has read requests of many connections, and working them off has taken long already; the rest of them waited as long.
 * Lateness alone is no overload (one long step would refuse the one user there is), a busy loop is none either (it is busy at
 * the highest honest rate too), and what happened in earlier turns says nothing about this one.
 */
export function createLoad(limits: HttpLimits, metrics: Metrics): Load {
  const state = { bulkBytes: 0, read: 0, turnBegan: 0 };
  const rooms = new Map(
    Object.entries(bounds).map(([name, bound]) => [
      name,
      { bound, admitted: 0, turns: createTurns(bound.running) },
    ]),
  );
  const endTurn = () => (state.read = 0);
  const refuse = (what: string): never => {
    metrics.refused("overloaded");
    throw new OverloadedError(`${what} Nothing was done; try again in a moment.`, {
      retryAfterMs: againMs,
    });
  };
  return {
    enter: () => {
      if (state.read === 0) {
        state.turnBegan = performance.now();
        // Runs when everything that could be read without waiting has been read.
        setImmediate(endTurn);
      }
      state.read += 1;
      if (state.read > limits.busyRequests && performance.now() - state.turnBegan > limits.lateMs)
        refuse("The server has more requests than it can answer in time.");
    },
    reserve: (reply, operation, bulkBytes) => {
      const room = operation === null ? undefined : rooms.get(operation);
      if (room !== undefined && room.admitted >= room.bound.running + room.bound.waiting)
        refuse(`Too many calls of ${operation} wait already.`);
      if (bulkBytes > 0 && state.bulkBytes + bulkBytes > limits.bulkBytes)
        refuse("Large bodies of other requests fill the memory that is set aside for them.");
      if (room === undefined && bulkBytes === 0) return;
      if (room !== undefined) room.admitted += 1;
      state.bulkBytes += bulkBytes;
      reply.raw.once("close", () => {
        if (room !== undefined) room.admitted -= 1;
        state.bulkBytes -= bulkBytes;
      });
    },
    inTurn: async (operation, signal, work) => {
      const room = rooms.get(operation);
      return room === undefined ? work() : room.turns(signal, work);
    },
  };
}

/** Names of the operations that have a bound, for the test that they exist. */
export const boundedOperations: readonly string[] = Object.keys(bounds);

/** Runs at most `most` pieces of work at once, the others in the order in which they came. */
function createTurns(most: number) {
  const waiting = new Set<() => void>();
  let running = 0;
  const done = () => {
    running -= 1;
    const [next] = waiting;
    if (next === undefined) return;
    waiting.delete(next);
    next();
  };
  const turn = (signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const start = () => {
        signal.removeEventListener("abort", leave);
        running += 1;
        resolve();
      };
      const leave = () => {
        waiting.delete(start);
        reject(
          new CancelledError("The caller went away, or the time was over, before it was its turn."),
        );
      };
      if (signal.aborted) return leave();
      if (running < most) return start();
      signal.addEventListener("abort", leave, { once: true });
      waiting.add(start);
    });
  return async <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> => {
    await turn(signal);
    try {
      return await work();
    } finally {
      done();
    }
  };
}
