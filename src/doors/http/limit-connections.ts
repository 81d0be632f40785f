import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { RequestTimeoutError } from "#base/errors/index.ts";
import { answerProblem } from "./answer-problem.ts";
import type { Door } from "./door.ts";

type Socket = FastifyRequest["raw"]["socket"];

/** Smaller answers fit into the buffers of the network: who takes them slowly holds nothing of ours, in UTF-16 characters or bytes. */
const largeAnswer = 64 * 1024;

/** What is open, for the end: the server itself knows nothing of connections that have not said anything yet. */
export type Connections = {
  /** Cuts those that never said anything, as browsers open them in advance. */
  cutSilent(): void;
  cutAll(): void;
};

/**
 * Cuts clients that hold a connection and let us wait: those that say nothing, whose body trickles in, or who do not take
 * their answer. Node's own timer cuts headers that trickle; its timer for a whole request cannot tell uploads apart, so it is
 * left at the operation's deadline.
 */
export function limitConnections(server: FastifyInstance, door: Door): Connections {
  const { limits } = door;
  const { metrics } = door.app;
  server.server.maxConnections = door.app.configuration.config.server.maxConnections;
  const sockets = new Set<Socket>();
  server.server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.server.on("drop", () => metrics.refused("too_many_connections"));
  // Under TLS a connection counts once its handshake is done, which has a limit of its own.
  server.server.on(door.certificate === null ? "connection" : "secureConnection", (socket) => {
    socket.once("close", metrics.opened("connection"));
    const silent = setTimeout(() => {
      if (socket.bytesRead > 0) return;
      metrics.refused("too_slow");
      socket.destroy();
    }, limits.connectMs);
    socket.once("close", () => clearTimeout(silent));
  });
  // Node calls this for connections without a request, too: those are closed without a word.
  server.server.on("timeout", (socket) => {
    if (socket.writableLength > 0) metrics.refused("slow_reader");
    socket.destroy();
  });
  limitBodies(server, door);
  server.addHook("onSend", (request, reply, payload, done) => {
    limitTaking(door, request, reply, payload);
    if (door.closing.aborted) reply.header("connection", "close");
    done(null, payload);
  });
  return {
    cutSilent: () => {
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
    },
    cutAll: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function limitBodies(server: FastifyInstance, door: Door): void {
  const { limits } = door;
  const receiving = new WeakMap<FastifyRequest, NodeJS.Timeout>();
  server.addHook("preParsing", async (request, reply) => {
    // Uploads take as long as the operation may.
    if (request.routeOptions.bodyLimit > limits.jsonBytes) return;
    const timer = setTimeout(() => {
      reply.header("connection", "close");
      door.app.metrics.refused("too_slow");
      const late = new RequestTimeoutError("The body did not arrive in time.");
      void answerProblem(door, request, reply, late);
    }, limits.receiveMs);
    receiving.set(request, timer);
    reply.raw.once("close", () => clearTimeout(timer));
  });
  server.addHook("preValidation", async (request) => clearTimeout(receiving.get(request)));
}

/** Whether a request came over a connection; what this process injects did not. */
export function isConnected(request: FastifyRequest): boolean {
  return "setTimeout" in request.raw.socket;
}

/** From here on the connection is cut when nothing of the answer is taken for a while; Node takes that back when it has all gone. */
function limitTaking(
  { limits, app: { metrics } }: Door,
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): void {
  if (!isConnected(request)) return;
  const { socket } = request.raw;
  socket.setTimeout(limits.stalledMs);
  const size = typeof payload === "string" || Buffer.isBuffer(payload) ? payload.length : 0;
  if (size < largeAnswer) return;
  const late = setTimeout(() => {
    metrics.refused("slow_reader");
    socket.destroy();
  }, limits.takingMs);
  reply.raw.once("close", () => clearTimeout(late));
}
