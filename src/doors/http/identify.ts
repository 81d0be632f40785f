import type { FastifyReply, FastifyRequest } from "fastify";
import type { Permission, Principal } from "#base/access/index.ts";
import { CandorError, CredentialInvalidError } from "#base/errors/index.ts";
import { cameOverTls, checkSamePage } from "./check-origin.ts";
import type { Operation } from "#operations/index.ts";
import type { Door } from "./door.ts";

/** What a route asks of its caller, before the body is read. */
export type Demand = {
  readonly permission: Permission;
  /** Whether the call changes nothing whatever it sends. */
  readonly reads: boolean;
};

/** What an operation asks of its caller. */
export function demandOf({ permission, effect }: Operation): Demand {
  return { permission, reads: effect === "read" };
}

/**
 * Finds out who calls and whether the role suffices, before any of the body is read. An API key that is wrong is always
 * refused; a session that ended counts as nobody where nobody is asked for, because a browser sends its cookie by itself.
 */
export async function identify(
  door: Door,
  request: FastifyRequest,
  demand: Demand,
): Promise<Principal | null> {
  const { access } = door.app;
  const bearer = readBearer(request.headers.authorization);
  const admit = (principal: Principal | null) => {
    // Known also where the role does not suffice.
    request.principal = principal;
    return access.admit(principal, demand.permission);
  };
  if (bearer !== undefined) return admit(await access.authenticate({ bearer }));
  const session = readCookie(request.headers.cookie, cookieName(door));
  if (session === undefined) return admit(null);
  const principal = await ofSession(door, session, demand.permission);
  if (principal && !(demand.reads && ["GET", "HEAD"].includes(request.method)))
    checkSamePage(door, request);
  return admit(principal);
}

async function ofSession(
  door: Door,
  session: string,
  permission: Permission,
): Promise<Principal | null> {
  try {
    return await door.app.access.authenticate({ session });
  } catch (thrown) {
    const ended = thrown instanceof CandorError && thrown.code === "credential_invalid";
    if (ended && permission === "public") return null;
    throw thrown;
  }
}

/** Sets the session cookie. */
export function setSessionCookie(
  door: Door,
  request: FastifyRequest,
  reply: FastifyReply,
  session: { readonly secret: string; readonly expiresAt: number },
): void {
  const parts = [
    `${cookieName(door)}=${session.secret}`,
    "Path=/",
    "HttpOnly",
    "SameSite=Strict",
    `Expires=${new Date(session.expiresAt).toUTCString()}`,
    ...(cameOverTls(door, request) ? ["Secure"] : []),
  ];
  reply.header("set-cookie", parts.join("; "));
}

/** The name of the session cookie: with the port, for cookies are shared by all ports of a host. */
export function cookieName(door: Door): string {
  return `candor_session_${door.address.port}`;
}

function readBearer(header: string | undefined): string | undefined {
  if (header === undefined || header === "") return undefined;
  const found = /^Bearer +([\x21-\x7e]{1,4096}) *$/i.exec(header)?.[1];
  if (found === undefined)
    throw new CredentialInvalidError(
      "The Authorization header must be `Bearer` and a key; no other scheme is known.",
    );
  return found;
}

function readCookie(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}
