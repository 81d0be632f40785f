import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { MethodNotAllowedError, NotFoundError, PermissionDeniedError } from "#base/errors/index.ts";
import { type Operation, refuseOperation } from "#operations/index.ts";
import { answerOperation, callerOf } from "./answer-operation.ts";
import { answerProblem } from "./answer-problem.ts";
import { answerStream } from "./answer-stream.ts";
import type { Door } from "./door.ts";
import { isConnected } from "./limit-connections.ts";
import { type Demand, demandOf, identify } from "./identify.ts";
import { type Admission, isNobody } from "./limit-rates.ts";

/** A way in: what is below it is told to the 405. */
export type Route = {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly demand: Demand;
  readonly bodyLimit?: number;
  /** No HEAD for what never ends. */
  readonly endless?: boolean;
  /** The operation behind it, where there is one. */
  readonly operation?: string;
  /** Answered whatever the load and whoever asks how often: those who watch the server must see that it lives. */
  readonly watched?: boolean;
  answer(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>;
  /** Keeps that a known caller was refused, and raises it. */
  refuse?(request: FastifyRequest, reply: FastifyReply, refusal: unknown): Promise<never>;
};

export const apiPrefix = "/api/v1";

/** The path of an operation as clients write it. */
export function pathOf(place: NonNullable<Operation["http"]>): string {
  return place.root ? place.path : `${apiPrefix}${place.path}`;
}

/** One route per operation that has a place on HTTP. */
export function operationRoutes(door: Door): Route[] {
  return door.operations.flatMap((operation) => {
    const place = operation.http;
    if (!place) return [];
    const streams = place.answer === "stream";
    const answer = streams ? answerStream : answerOperation;
    return [
      {
        method: place.method,
        path: pathOf(place),
        demand: demandOf(operation),
        bodyLimit: bodyLimitOf(door, operation),
        endless: streams,
        operation: operation.name,
        watched: operation.name === "system.health",
        answer: (request: FastifyRequest, reply: FastifyReply) =>
          answer(door, operation, request, reply),
        refuse: (request: FastifyRequest, reply: FastifyReply, refusal: unknown) =>
          refuseOperation(
            door.app,
            operation,
            callerOf(door, request, reply, door.closing),
            refusal,
          ),
      },
    ];
  });
}

/** Operations that take many documents in one JSON body: the configured limit holds for them, as for uploads. */
const bulkOperations: ReadonlySet<string> = new Set(["documents.add", "documents.addBatch"]);

function bodyLimitOf(door: Door, operation: Operation): number {
  const takesBulk = operation.http?.body === "multipart" || bulkOperations.has(operation.name);
  const { bodyLimitMegabytes } = door.app.configuration.config.server;
  return takesBulk ? bodyLimitMegabytes * 1024 * 1024 : door.limits.jsonBytes;
}

export function addRoutes(
  server: FastifyInstance,
  door: Door,
  admission: Admission,
  routes: readonly Route[],
): void {
  for (const route of routes) {
    const { endless = false, operation = null, watched = false } = route;
    server.route({
      method: route.method,
      url: route.path,
      exposeHeadRoute: route.method === "GET" && !endless,
      ...(route.bodyLimit === undefined ? {} : { bodyLimit: route.bodyLimit }),
      onRequest: async (request, reply) => {
        // Requests that this process makes to itself have no connection: they come one after the other.
        if (!watched && isConnected(request)) door.load.enter();
        const free = watched && isNobody(request);
        request.judgedAt = door.app.access.generation();
        try {
          request.principal = await (free
            ? identify(door, request, route.demand)
            : admission.admit(request, reply, route.demand));
        } catch (thrown) {
          if (thrown instanceof PermissionDeniedError) await route.refuse?.(request, reply, thrown);
          throw thrown;
        }
        door.load.reserve(reply, operation, bulkBytesOf(door, request));
      },
      handler: (request, reply) => route.answer(request, reply),
    });
  }
  server.setNotFoundHandler((request, reply) => refuse(door, admission, routes, request, reply));
}

/** What the body will take of the memory for large bodies: what it says, or as much as it may have. */
function bulkBytesOf(door: Door, request: FastifyRequest): number {
  const { bodyLimit } = request.routeOptions;
  if (bodyLimit <= door.limits.jsonBytes) return 0;
  const says = Number(request.headers["content-length"] ?? Number.NaN);
  const bytes = Number.isNaN(says) ? bodyLimit : Math.min(says, bodyLimit);
  return bytes <= door.limits.jsonBytes ? 0 : bytes;
}

/** 405 with the methods of a path that exists; else 404. Below the API only to callers who are somebody. */
async function refuse(
  door: Door,
  admission: Admission,
  routes: readonly Route[],
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const path = (request.raw.url ?? "").replace(/\?.*$/s, "");
  const isPublic = !/^\/(?:api|metrics)(?:\/|$)/.test(path);
  const demand = { permission: isPublic ? ("public" as const) : { role: "read_only" as const } };
  request.principal = await admission.admit(request, reply, { ...demand, reads: true });
  const methods = routes.filter((route) => matches(route.path, path)).flatMap(methodsOf);
  if (methods.length === 0)
    throw new NotFoundError(`There is nothing at this path; /docs lists every operation.`);
  reply.header("allow", [...new Set(methods)].join(", "));
  return answerProblem(
    door,
    request,
    reply,
    new MethodNotAllowedError(`This path takes ${methods.join(", ")}, not ${request.method}.`),
  );
}

function methodsOf(route: Route): string[] {
  const hasHead = route.method === "GET" && route.endless !== true;
  return hasHead ? ["GET", "HEAD"] : [route.method];
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split("/");
  const given = path.split("/");
  return (
    wanted.length === given.length &&
    wanted.every((part, place) =>
      part.startsWith(":") ? given[place] !== "" : part === given[place],
    )
  );
}
