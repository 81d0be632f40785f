import { randomUUID } from "node:crypto";
import {
  fastify,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from "fastify";
import multipart from "@fastify/multipart";
import { redactText, RequestTimeoutError, ServerUnreachableError } from "#base/errors/index.ts";
import { answerBrokenConnection, answerProblem, routeOf } from "./answer-problem.ts";
import { answerPreflight, checkOrigin, isPreflight } from "./check-origin.ts";
import type { Door } from "./door.ts";
import { addJsonParser } from "./parse-json.ts";
import { doorRoutes } from "./door-routes.ts";
import { addRoutes, isUpload, operationRoutes } from "./routes.ts";
import { securityHeaders } from "./security-headers.ts";

/** The server with every route, not listening yet. */
export async function createServer(door: Door): Promise<FastifyInstance> {
  const { limits } = door;
  const server = fastify({
    logger: false,
    bodyLimit: limits.jsonBytes,
    // Receiving is limited per route in limitReceiving; this is the last resort.
    requestTimeout: door.app.configuration.config.server.requestTimeoutSeconds * 1000,
    keepAliveTimeout: limits.keepAliveMs,
    http: {
      headersTimeout: limits.receiveMs,
      connectionsCheckingInterval: limits.checkEveryMs,
      maxHeaderSize: limits.headerBytes,
      // A missing Host is refused by us, as a problem.
      requireHostHeader: false,
    },
    requestIdHeader: false,
    genReqId: (request) => requestId(request.headers["x-request-id"]),
    return503OnClosing: false,
    routerOptions: { maxParamLength: limits.parameterLength, querystringParser: () => ({}) },
    schemaController: noCompilers,
    clientErrorHandler: answerBrokenConnection,
    frameworkErrors: (error, request, reply) => {
      request.principal = null;
      setHeaders(request, reply);
      void answerProblem(door, request, reply, error);
    },
  });
  server.server.maxConnections = door.app.configuration.config.server.maxConnections;
  server.decorateRequest("principal", null);
  addJsonParser(server, limits);
  await server.register(multipart);
  addHooks(server, door);
  addRoutes(server, door, [...operationRoutes(door), ...doorRoutes(door)]);
  await server.ready();
  return server;
}

/** zod checks input and output: without these two, Fastify would load compilers of its own at every start. */
const noCompilers = {
  compilersFactory: {
    buildValidator: () => () => () => true,
    buildSerializer: () => () => JSON.stringify,
  },
} as unknown as NonNullable<FastifyServerOptions["schemaController"]>;

function addHooks(server: FastifyInstance, door: Door): void {
  limitReceiving(server, door);
  server.addHook("onRequest", async (request, reply) => {
    setHeaders(request, reply);
    reply.raw.once("close", () => logRequest(door, request, reply));
    if (door.closing.aborted)
      throw new ServerUnreachableError("The server is ending: try again in a moment.", {
        retryAfterMs: 1000,
      });
    checkOrigin(door, request, reply);
    if (isPreflight(request)) return answerPreflight(reply);
    return undefined;
  });
  server.setErrorHandler((error, request, reply) => answerProblem(door, request, reply, error));
}

function setHeaders(request: FastifyRequest, reply: FastifyReply): void {
  reply.headers({ ...securityHeaders, "x-request-id": request.id });
}

/** A caller's own id for this request where it is a plain token, else a fresh one. */
function requestId(given: string | string[] | undefined): string {
  const plain = typeof given === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(given);
  return plain && redactText(given) === given ? given : randomUUID();
}

/** One line per request: the route's pattern stands for the address, whose names and query strings are nobody's business. */
function logRequest(door: Door, request: FastifyRequest, reply: FastifyReply): void {
  door.app.logger.info(
    {
      requestId: request.id,
      method: request.method,
      route: routeOf(request),
      // Who goes away before there is an answer gets none: 499, as for a cancelled call.
      status: reply.raw.writableEnded ? reply.statusCode : 499,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      ...(request.principal ? { principal: request.principal.id } : {}),
    },
    "request",
  );
}

/**
 * Cuts clients that hold a connection without saying anything, and bodies that trickle in. Node's own timer for a whole request
 * cannot tell uploads apart, so it is left at the operation's deadline.
 */
function limitReceiving(server: FastifyInstance, door: Door): void {
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
