import { randomUUID } from "node:crypto";
import {
  fastify,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from "fastify";
import multipart from "@fastify/multipart";
import { ServerUnreachableError } from "#base/errors/index.ts";
import { answerProblem, routeOf } from "./answer-problem.ts";
import { answerPreflight, checkOrigin, isPreflight } from "./check-origin.ts";
import { answerBrokenConnection } from "./answer-broken-connection.ts";
import type { Door } from "./door.ts";
import { addJsonParser } from "./parse-json.ts";
import { doorRoutes } from "./door-routes.ts";
import { addRoutes, operationRoutes } from "./routes.ts";
import { securityHeaders } from "./security-headers.ts";
import { limitReceiving } from "./limit-receiving.ts";

/** The server with every route, not listening yet. */
export async function createServer(door: Door): Promise<FastifyInstance> {
  const { limits } = door;
  const server = fastify({
    logger: false,
    bodyLimit: limits.jsonBytes,
    // Receiving is limited per route in limit-receiving.ts; this is the last resort.
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
    if (door.closing.aborted)
      throw new ServerUnreachableError("The server is ending: try again in a moment.", {
        retryAfterMs: 1000,
      });
    checkOrigin(door, request, reply);
    if (isPreflight(request)) return answerPreflight(reply);
    return undefined;
  });
  server.setErrorHandler((error, request, reply) => answerProblem(door, request, reply, error));
  server.addHook("onResponse", async (request, reply) =>
    logRequest(door, request, reply, reply.statusCode),
  );
}

function setHeaders(request: FastifyRequest, reply: FastifyReply): void {
  reply.headers({ ...securityHeaders, "x-request-id": request.id });
}

/** A caller's own id for this request where it is a plain token, else a fresh one. */
function requestId(given: string | string[] | undefined): string {
  return typeof given === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(given) ? given : randomUUID();
}

/** One line per request: the route's pattern stands for the address, whose names and query strings are nobody's business. */
function logRequest(
  door: Door,
  request: FastifyRequest,
  reply: FastifyReply,
  status: number,
): void {
  door.app.logger.info(
    {
      requestId: request.id,
      method: request.method,
      route: routeOf(request),
      status,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      ...(request.principal ? { principal: request.principal.id } : {}),
    },
    "request",
  );
}
