import { randomUUID } from "node:crypto";
import {
  fastify,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from "fastify";
import multipart from "@fastify/multipart";
import { redactText, ServerUnreachableError } from "#base/errors/index.ts";
import { answerBrokenConnection, answerProblem, routeOf } from "./answer-problem.ts";
import { answerPreflight, checkOrigin, isPreflight } from "./check-origin.ts";
import {
  createRequestObserver,
  type ObserveRequest,
  type RequestCourse,
} from "#base/telemetry/index.ts";
import type { Door } from "./door.ts";
import { addJsonParser } from "./parse-json.ts";
import { doorRoutes } from "./door-routes.ts";
import { type Connections, limitConnections } from "./limit-connections.ts";
import { type Admission, createAdmission } from "./limit-rates.ts";
import { addRoutes, operationRoutes } from "./routes.ts";
import { securityHeaders, setTransportSecurity } from "./security-headers.ts";

/** The server with every route, not listening yet. */
export async function createServer(
  door: Door,
): Promise<{ readonly server: FastifyInstance; readonly connections: Connections }> {
  const { limits } = door;
  const { trustedProxies } = door.app.configuration.config.server;
  const observe = createRequestObserver(door.app);
  const server = fastify({
    ...listenerOptions(door),
    logger: false,
    bodyLimit: limits.jsonBytes,
    // Nobody's X-Forwarded-For is believed but that of proxies which are named.
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    requestIdHeader: false,
    genReqId: (request) => requestId(request.headers["x-request-id"]),
    return503OnClosing: false,
    routerOptions: { maxParamLength: limits.parameterLength, querystringParser: () => ({}) },
    schemaController: noCompilers,
    clientErrorHandler: (error, socket) => answerBrokenConnection(door, error, socket),
    frameworkErrors: (error, request, reply) => {
      request.principal = null;
      const course = beginCourse(door, observe, request, reply);
      setHeaders(door, request, reply);
      course.run(() => void answerProblem(door, request, reply, error));
    },
  });
  server.decorateRequest("principal", null);
  server.decorateRequest("course", null);
  server.decorateRequest("judgedAt", 0);
  enterCourses(server, door, observe);
  addJsonParser(server, limits);
  await server.register(multipart);
  const admission = await createAdmission(server, door);
  const connections = limitConnections(server, door);
  addHooks(server, door, admission);
  addRoutes(server, door, admission, [...operationRoutes(door), ...doorRoutes(door)]);
  // Node would answer 417 without a problem; an expectation that nobody knows may be ignored (RFC 9110, section 10.1.1).
  server.server.on("checkExpectation", (request, response) => {
    server.server.emit("request", request, response);
  });
  await server.ready();
  return { server, connections };
}

/** How connections are taken: HTTPS where there is a certificate, and then nothing else. */
function listenerOptions(door: Door) {
  const { limits, certificate } = door;
  const options = {
    // Receiving is limited per route in limitBodies; this is the last resort.
    requestTimeout: door.app.configuration.config.server.requestTimeoutSeconds * 1000,
    keepAliveTimeout: limits.keepAliveMs,
    headersTimeout: limits.receiveMs,
    connectionsCheckingInterval: limits.checkEveryMs,
    maxHeaderSize: limits.headerBytes,
    // A missing Host is refused by us, as a problem.
    requireHostHeader: false,
  };
  const { requestTimeout, keepAliveTimeout, ...http } = options;
  if (certificate === null) return { requestTimeout, keepAliveTimeout, http };
  const tls = {
    cert: certificate.chain,
    key: certificate.key,
    minVersion: "TLSv1.2" as const,
    handshakeTimeout: limits.connectMs,
  };
  // The types know one server or the other; ours is used as what both have in common.
  return { requestTimeout, keepAliveTimeout, https: { ...http, ...tls } as unknown as null };
}

/** zod checks input and output: without these two, Fastify would load compilers of its own at every start. */
const noCompilers = {
  compilersFactory: {
    buildValidator: () => () => () => true,
    buildSerializer: () => () => JSON.stringify,
  },
} as unknown as NonNullable<FastifyServerOptions["schemaController"]>;

function addHooks(server: FastifyInstance, door: Door, admission: Admission): void {
  server.addHook("onRequest", async (request, reply) => {
    setHeaders(door, request, reply);
    if (door.closing.aborted) {
      door.app.metrics.refused("ending");
      throw new ServerUnreachableError("The server is ending: try again in a moment.", {
        retryAfterMs: 1000,
      });
    }
    checkOrigin(door, request, reply);
    if (isPreflight(request)) return answerPreflight(reply);
    return undefined;
  });
  server.setErrorHandler((error, request, reply) => {
    const answer = async () =>
      answerProblem(door, request, reply, await admission.afterFailure(request, error));
    return request.course === null ? answer() : request.course.run(answer);
  });
}

function setHeaders(door: Door, request: FastifyRequest, reply: FastifyReply): void {
  reply.headers({ ...securityHeaders, "x-request-id": request.id });
  if (door.certificate !== null) setTransportSecurity(request, reply);
}

/** A caller's own id for this request where it is a plain token, else a fresh one. */
function requestId(given: string | string[] | undefined): string {
  const plain = typeof given === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(given);
  return plain && redactText(given) === given ? given : randomUUID();
}

/** What a request writes from here on, in the log, the ledger and its trace, belongs to it; its end is logged and counted. */
function beginCourse(
  door: Door,
  observe: ObserveRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): RequestCourse {
  const traceParent = request.headers["traceparent"];
  const course = observe({
    requestId: request.id,
    method: request.method,
    traceParent: typeof traceParent === "string" ? traceParent : undefined,
  });
  request.course = course;
  const closed = door.app.metrics.opened("request");
  // A stream has a dozen things to take back at its end; Node warns from eleven on.
  reply.raw.setMaxListeners(20);
  reply.raw.once("close", () => {
    if (request.principal) course.identified(request.principal.id);
    closed();
    course.end({
      // The pattern stands for the address, whose names and query string are nobody's business.
      route: routeOf(request),
      // Who goes away before there is an answer gets none: 499, as for a cancelled call.
      status: reply.raw.writableEnded ? reply.statusCode : 499,
      milliseconds: reply.elapsedTime,
      // Where somebody was refused, it is worth knowing from where.
      address: [401, 403, 429].includes(reply.statusCode) ? request.ip : undefined,
      endless: String(reply.getHeader("content-type")).startsWith("text/event-stream"),
    });
  });
  return course;
}

function enterCourses(server: FastifyInstance, door: Door, observe: ObserveRequest): void {
  server.addHook("onRequest", (request, reply, done) => {
    beginCourse(door, observe, request, reply).run(done);
  });
  server.addHook("preValidation", (request, _reply, done) => {
    if (request.principal) request.course?.identified(request.principal.id);
    done();
  });
}
