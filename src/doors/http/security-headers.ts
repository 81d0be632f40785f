import type { FastifyReply, FastifyRequest } from "fastify";

/**
 * The policy of our pages: everything from this origin, nothing inline, no frame around them, and no text turned into script.
 * The one Trusted Types policy is that of the studio's workers.
 */
const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "font-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types candor-worker",
].join("; ");

/** What is no page loads nothing at all, should a browser show it. */
const dataPolicy = "default-src 'none'; frame-ancestors 'none'";

/** The headers of every answer. */
export const securityHeaders: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy":
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=()",
  "content-security-policy": dataPolicy,
  // What a page of another origin may read is not what ours may.
  vary: "Origin",
};

export function setPageHeaders(reply: FastifyReply): void {
  reply.header("content-security-policy", pagePolicy);
}

/** Browsers that came over TLS once come over TLS for a year. */
const transportPolicy = "max-age=31536000";

/**
 * Tells browsers to come over TLS from now on. Not under the name localhost: the promise is kept for a name, whatever the
 * port, and would lock people out of everything else that they run on their machine.
 */
export function setTransportSecurity(request: FastifyRequest, reply: FastifyReply): void {
  if (/^localhost(?::|$)/i.test(request.headers.host ?? "")) return;
  reply.header("strict-transport-security", transportPolicy);
}
