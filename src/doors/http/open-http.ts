import type { FastifyInstance } from "fastify";
import { ConfigurationInvalidError, PortInUseError } from "#base/errors/index.ts";
import { call, type LoopbackReply } from "#base/network/index.ts";
import type { App, Operation } from "#operations/index.ts";
import { createServer } from "./create-server.ts";
import type { Door } from "./door.ts";
import { httpLimits, type HttpLimits } from "./limits.ts";

export type HttpDoor = {
  /** `http://127.0.0.1:7340`, without a slash at its end. */
  readonly url: string;
  readonly host: string;
  /** The real port, also where 0 was asked for. */
  readonly port: number;
  readonly server: FastifyInstance;
  /** Stops accepting, ends streams, lets running requests end within ten seconds, then cuts what is left. May be called twice. */
  close(): Promise<void>;
};

/** Opens the HTTP door over the operation table. Raises PortInUseError, or ConfigurationInvalidError for an address that cannot be had. */
export async function openHttp(
  app: App,
  operations: readonly Operation[],
  options: { readonly host: string; readonly port: number; readonly limits?: Partial<HttpLimits> },
): Promise<HttpDoor> {
  const closing = new AbortController();
  const limits = { ...httpLimits, ...options.limits };
  const address = { host: options.host, port: options.port };
  const door: Door = { app, operations, limits, address, closing: closing.signal };
  const server = await createServer(door);
  try {
    address.port = await listen(server, address);
  } catch (thrown) {
    await server.close();
    throw thrown;
  }
  const { host, port } = address;
  let closed: Promise<void> | undefined;
  return {
    url: `http://${reachable(host)}:${port}`,
    host,
    port,
    server,
    close: () => (closed ??= closeServer(server, closing, limits.drainMs)),
  };
}

/** The bound host as programs of this machine name it in an address. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}

async function closeServer(
  server: FastifyInstance,
  closing: AbortController,
  drainMs: number,
): Promise<void> {
  closing.abort();
  const overdue = setTimeout(() => server.server.closeAllConnections(), drainMs);
  try {
    await server.close();
  } finally {
    clearTimeout(overdue);
  }
}

/** How long the owner of a taken port gets to say who it is, in ms. */
const ownerMs = 1000;

/** Starts listening and answers the real port. Raises PortInUseError, or ConfigurationInvalidError for an address that cannot be had. */
async function listen(
  server: FastifyInstance,
  { host, port }: { host: string; port: number },
): Promise<number> {
  try {
    await server.listen({ host, port });
  } catch (thrown) {
    throw await toListenError(thrown, host, port);
  }
  const address = server.server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}

async function toListenError(thrown: unknown, host: string, port: number): Promise<unknown> {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  const options = { cause: thrown };
  switch (code) {
    case "EADDRINUSE":
      return new PortInUseError(
        `Port ${port} on ${host} is taken${(await isCandor(port)) ? " by another Candor" : ""}. Choose another with --port or CANDOR_PORT.`,
        options,
      );
    case "EACCES":
      return new ConfigurationInvalidError(
        `server.port ${port}: this user may not listen on it. Choose one above 1023 with --port or CANDOR_PORT.`,
        options,
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new ConfigurationInvalidError(
        `server.host ${host} is not an address of this machine. Use 127.0.0.1, or one that it has.`,
        options,
      );
    default:
      return thrown;
  }
}

/** Whether a Candor answers on this machine's `port`. Whatever else listens there may answer anything, or nothing. */
async function isCandor(port: number): Promise<boolean> {
  const server = { url: `http://127.0.0.1:${port}`, key: "" };
  const question = {
    method: "GET",
    path: "/health",
    headers: { authorization: "" },
    timeoutMs: ownerMs,
  } as const;
  const [asked] = await Promise.allSettled([call(server, question)]);
  return asked.status === "fulfilled" && isOurs(asked.value);
}

function isOurs({ body, headers }: LoopbackReply): boolean {
  return (
    typeof body === "object" &&
    body !== null &&
    "requestId" in body &&
    "status" in body &&
    typeof body.requestId === "string" &&
    body.requestId === headers["x-request-id"]
  );
}
