import type { FastifyInstance, FastifyRequest } from "fastify";
import { RequestTimeoutError } from "#base/errors/index.ts";
import { answerProblem } from "./answer-problem.ts";
import type { Door } from "./door.ts";
import { isUpload } from "./routes.ts";

/**
 * Cuts clients that hold a connection without saying anything, and bodies that trickle in. Node's own timer for a whole request
 * cannot tell uploads apart, so it is left at the operation's deadline.
 */
export function limitReceiving(server: FastifyInstance, door: Door): void {
  const { limits } = door;
  server.server.on("connection", (socket) => {
    const silent = setTimeout(() => socket.destroy(), limits.connectMs);
    socket.once("data", () => clearTimeout(silent));
    socket.once("close", () => clearTimeout(silent));
  });
  const receiving = new WeakMap<FastifyRequest, NodeJS.Timeout>();
  const received = (request: FastifyRequest) => clearTimeout(receiving.get(request));
  server.addHook("preParsing", async (request, reply) => {
    if (isUpload(door, request.routeOptions.bodyLimit)) return;
    const timer = setTimeout(() => {
      reply.header("connection", "close");
      const late = new RequestTimeoutError("The body did not arrive in time.");
      void answerProblem(door, request, reply, late);
    }, limits.receiveMs);
    receiving.set(request, timer);
    reply.raw.once("close", () => clearTimeout(timer));
  });
  server.addHook("preValidation", async (request) => received(request));
}
