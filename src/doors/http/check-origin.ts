import type { FastifyReply, FastifyRequest } from "fastify";
import { OriginRefusedError } from "#base/errors/index.ts";
import type { Door } from "./door.ts";

/** Headers that pages of `cors.origins` may send. */
const corsRequestHeaders =
  "Content-Type, Authorization, X-Requested-With, X-Candor-Request, Idempotency-Key";
const corsMethods = "GET, POST, PUT, PATCH, DELETE, OPTIONS";

/** How long a browser may keep the answer to a preflight, in seconds. */
const preflightSeconds = "600";

/**
 * Raises OriginRefusedError unless the request names one of our own hosts and comes from no foreign page: a page that
 * rebound its own name to our address fails by its Host, any other foreign page by its Origin.
 * Pages of `cors.origins` get the CORS headers.
 */
export function checkOrigin(door: Door, request: FastifyRequest, reply: FastifyReply): void {
  const host = checkHost(door, request.headers.host);
  const { origin } = request.headers;
  if (origin === undefined) return;
  if (isOwnOrigin(door, host, origin)) return;
  if (!isAllowedOrigin(door, origin)) {
    door.app.metrics.refused("origin");
    throw new OriginRefusedError(
      `Pages of ${origin} may not call this server: it is neither its own origin nor listed in cors.origins.`,
    );
  }
  reply.headers({
    "access-control-allow-origin": origin,
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "X-Request-Id, Retry-After, Allow",
  });
}

/** Whether this is a preflight; only one that `checkOrigin` let through is answered. */
export function isPreflight(request: FastifyRequest): boolean {
  return (
    request.method === "OPTIONS" &&
    request.headers.origin !== undefined &&
    request.headers["access-control-request-method"] !== undefined
  );
}

/** Answers a preflight of a page whose origin `checkOrigin` found in `cors.origins`. */
export function answerPreflight(reply: FastifyReply): FastifyReply {
  return reply
    .code(204)
    .headers({
      "access-control-allow-methods": corsMethods,
      "access-control-allow-headers": corsRequestHeaders,
      "access-control-max-age": preflightSeconds,
    })
    .send();
}

/**
 * A cookie is sent by the browser whoever asked it to, so a call that changes something must also show that a page of ours
 * made it: a header that no form can send, and an origin that the browser itself vouches for.
 */
export function checkSamePage(door: Door, request: FastifyRequest): void {
  if (request.headers["x-candor-request"] === undefined)
    throw new OriginRefusedError(
      "A signed-in page must send the header X-Candor-Request with every call that may change something.",
    );
  const { origin } = request.headers;
  const site = request.headers["sec-fetch-site"];
  const allowed =
    origin === undefined
      ? site === "same-origin"
      : isAllowedOrigin(door, origin) || site === undefined || site === "same-origin";
  if (!allowed)
    throw new OriginRefusedError(
      "A signed-in call that may change something must come from a page of this server: send it from there, or use an API key.",
    );
}

/** Whether the page that asks came over TLS, ours or that of a proxy; then so does its cookie. */
export function cameOverTls(door: Door, request: FastifyRequest): boolean {
  return door.certificate !== null || (request.headers.origin?.startsWith("https://") ?? false);
}

function checkHost(door: Door, header: string | undefined): string {
  const host = (header ?? "").toLowerCase();
  const parts = /^(\[[0-9a-f:.%a-z]+\]|[^:[\]/@\s]+)(?::(\d{1,5}))?$/.exec(host);
  const name = parts?.[1];
  const port = parts?.[2];
  const { server } = door.app.configuration.config;
  const ownPort = port === undefined || Number(port) === door.address.port;
  const trusted = server.trustedHosts.map(bracketed);
  const own = ["localhost", "127.0.0.1", "[::1]", ...trusted, ...boundName(door.address.host)];
  if (name === undefined || !own.includes(name) || !ownPort) {
    door.app.metrics.refused("host");
    throw new OriginRefusedError(
      `Host ${header === undefined ? "is missing" : `"${header}" is not a name of this server`}. Names that belong to it are added to server.trustedHosts.`,
    );
  }
  return host;
}

/** The bound host as a name that a client may use; the wildcard addresses are nobody's name. */
function boundName(host: string): string[] {
  return host === "0.0.0.0" || host === "::" ? [] : [bracketed(host)];
}

function bracketed(host: string): string {
  const name = host.toLowerCase();
  return name.includes(":") ? `[${name}]` : name;
}

/** The origin under which this very request came; https where we, or something before us for a trusted host, end TLS. */
function isOwnOrigin(door: Door, host: string, origin: string): boolean {
  if (door.certificate !== null) return origin === `https://${host}`;
  if (origin === `http://${host}`) return true;
  const name = host.replace(/:\d+$/, "");
  const trusted = door.app.configuration.config.server.trustedHosts.map(bracketed);
  return trusted.includes(name) && origin === `https://${host}`;
}

function isAllowedOrigin(door: Door, origin: string): boolean {
  return door.app.configuration.config.cors.origins.includes(origin);
}
