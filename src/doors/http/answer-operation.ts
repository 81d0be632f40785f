import type { FastifyReply, FastifyRequest } from "fastify";
import { OperationTimeoutError } from "#base/errors/index.ts";
import type { Job } from "#base/jobs/index.ts";
import type { Operation } from "#operations/index.ts";
import { type Answer, type Caller, runOperation } from "#operations/index.ts";
import type { Door } from "./door.ts";
import { demandOf, identify, setSessionCookie } from "./identify.ts";
import { readInput } from "./read-input.ts";
import { routeOf } from "./answer-problem.ts";

/** Runs an operation for a request and answers with its output. */
export async function answerOperation(
  door: Door,
  operation: Operation,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { fields, wait } = await readInput(door, operation, request);
  // Bodies take their time: who was let in with the headers may not be with the last byte.
  if (door.app.access.generation() !== request.judgedAt)
    request.principal = await identify(door, request, demandOf(operation));
  const seconds = door.app.configuration.config.server.requestTimeoutSeconds;
  const deadline = startDeadline(seconds, reply);
  try {
    const caller = callerOf(door, request, reply, deadline.signal);
    const answer = await Promise.race([
      door.load.inTurn(operation.name, deadline.signal, () =>
        runOperation(door.app, operation, fields, caller),
      ),
      deadline.passed,
    ]);
    if (answer === "late")
      throw new OperationTimeoutError(`${operation.name} took longer than ${seconds} s.`);
    if (!wait) return send(reply, statusOf(operation, answer.output), answer, answer.output);
    const { job } = answer.output as { job: Job };
    const ended = await jobEnd(door, job, deadline);
    // What is still running when the time is over was accepted and goes on: that is what 202 says.
    const status = ended.finishedAt === null ? 202 : 200;
    const waited = { ...answer, tookMs: Math.round(reply.elapsedTime * 10) / 10 };
    return send(reply, status, waited, { job: ended, ...bulkOf(ended) });
  } finally {
    deadline.end();
  }
}

/** Who calls, as the operation sees it. */
export function callerOf(
  door: Door,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Caller {
  const key = request.headers["idempotency-key"];
  const changes = ["POST", "PATCH", "DELETE"].includes(request.method);
  return {
    principal: request.principal,
    signal,
    requestId: request.id,
    method: request.method,
    endpoint: routeOf(request),
    address: request.ip,
    openSession: (secret, expiresAt) =>
      setSessionCookie(door, request, reply, { secret, expiresAt }),
    endSession: () => {
      if (request.principal?.session?.kind === "cookie")
        setSessionCookie(door, request, reply, { secret: "", expiresAt: 0 });
    },
    ...(typeof key === "string" && changes ? { idempotencyKey: key } : {}),
  };
}

type Deadline = {
  /** Aborted when the time is over or the client is gone. */
  readonly signal: AbortSignal;
  /** Resolves when the time is over, and never if it ends before. */
  readonly passed: Promise<"late">;
  end(): void;
};

function startDeadline(seconds: number, reply: FastifyReply): Deadline {
  const controller = new AbortController();
  const { promise, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => {
    resolve("late");
    controller.abort();
  }, seconds * 1000);
  // An answer that was sent whole needs nobody told that it is over.
  const left = () => {
    if (!reply.raw.writableFinished) controller.abort();
  };
  if (reply.raw.closed) left();
  else reply.raw.once("close", left);
  return { signal: controller.signal, passed: promise, end: () => clearTimeout(timer) };
}

/** Aborted once the connection is closed: nobody waits for the answer any more. */
export function clientGone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  if (reply.raw.closed) controller.abort();
  else reply.raw.once("close", () => controller.abort());
  return controller.signal;
}

/** The job when it has ended, or as it is when the time is over or the server closes. */
async function jobEnd(door: Door, job: Job, deadline: Deadline): Promise<Job> {
  const signal = AbortSignal.any([deadline.signal, door.closing]);
  await Promise.race([door.app.jobs.ended(job.id, signal), deadline.passed]);
  return door.app.jobs.get(job.id, { owner: "anybody" });
}

/** The bulk answer inside a job's result: waiting for it gives what the operation would have answered at once. */
function bulkOf(job: Job): object {
  const { result } = job;
  const isBulk =
    typeof result === "object" &&
    result !== null &&
    "items" in result &&
    Array.isArray(result.items) &&
    "errors" in result &&
    Array.isArray(result.errors);
  return isBulk ? result : {};
}

function statusOf(operation: Operation, output: unknown): number {
  const failed =
    typeof output === "object" &&
    output !== null &&
    "status" in output &&
    output.status === "failed";
  // Load balancers read the status line alone.
  if (operation.name === "system.health" && failed) return 503;
  const answer = operation.http?.answer;
  return answer === "created" ? 201 : answer === "job" ? 202 : 200;
}

function send(reply: FastifyReply, status: number, answer: Answer, output: unknown): FastifyReply {
  reply.code(status).header("cache-control", "no-store");
  if (typeof output === "string") return reply.type("text/plain; charset=utf-8").send(output);
  const { notices, requestId, tookMs } = answer;
  const body = {
    ...(output as object),
    ...(notices.length > 0 ? { notices } : {}),
    requestId,
    tookMs,
  };
  return reply.type("application/json; charset=utf-8").send(JSON.stringify(body));
}
