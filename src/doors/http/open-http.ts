import { setTimeout as delay } from "node:timers/promises";
import type { Server as TlsServer } from "node:tls";
import type { FastifyInstance } from "fastify";
import type { Certificate } from "#base/config/index.ts";
import { ConfigurationInvalidError, PortInUseError } from "#base/errors/index.ts";
import { call, type LoopbackReply } from "#base/network/index.ts";
import type { App, Operation } from "#operations/index.ts";
import { createServer } from "./create-server.ts";
import type { Door } from "./door.ts";
import type { Connections } from "./limit-connections.ts";
import { createLoad } from "./limit-load.ts";
import { httpLimits, type HttpLimits } from "./limits.ts";

export type HttpDoor = {
  /** `http://127.0.0.1:7340`, without a slash at its end. */
  readonly url: string;
  /** The same for people: with a name of the server that its certificate covers, where there is one. */
  readonly publicUrl: string;
  readonly host: string;
  /** The real port, also where 0 was asked for. */
  readonly port: number;
  readonly server: FastifyInstance;
  /** Shows another certificate to connections that come from now on. */
  renew(certificate: Certificate): void;
  /**
   * Answers everything new with 503 and asks connections to end, stops accepting, ends streams, lets running requests end
   * within seven seconds, then cuts what is left. May be called twice.
   */
  close(): Promise<void>;
};

/** Opens the HTTP door over the operation table. Raises PortInUseError, or ConfigurationInvalidError for an address that cannot be had. */
export async function openHttp(
  app: App,
  operations: readonly Operation[],
  options: {
    readonly host: string;
    readonly port: number;
    /** HTTPS with this certificate; else plain HTTP. */
    readonly certificate?: Certificate | null;
    readonly limits?: Partial<HttpLimits>;
  },
): Promise<HttpDoor> {
  const closing = new AbortController();
  const limits = { ...httpLimits, ...options.limits };
  const { certificate = null } = options;
  // One address: where the name has two, the second listener would be a server of its own, without our limits.
  const host = options.host === "localhost" ? "127.0.0.1" : options.host;
  const address = { host, port: options.port };
  const load = createLoad(limits, app.metrics);
  const door: Door = {
    app,
    operations,
    limits,
    load,
    certificate,
    address,
    closing: closing.signal,
  };
  const { server, connections } = await createServer(door);
  const close = () => closeServer(server, connections, closing, limits);
  try {
    address.port = await listen(server, address);
  } catch (thrown) {
    await close();
    throw thrown;
  }
  const { port } = address;
  const scheme = certificate === null ? "http" : "https";
  const names = [host, ...app.configuration.config.server.trustedHosts].map(reachable);
  const covered = names.find((name) => certificate?.covers(name)) ?? reachable(host);
  let closed: Promise<void> | undefined;
  return {
    url: `${scheme}://${reachable(host)}:${port}`,
    publicUrl: `${scheme}://${covered}:${port}`,
    host,
    port,
    server,
    renew: (renewed) => {
      // The types know the plain server alone.
      const listener = server.server as unknown as Partial<TlsServer>;
      const { chain: cert, key } = renewed;
      listener.setSecureContext?.({ cert, key, minVersion: "TLSv1.2" });
    },
    close: () => (closed ??= close()),
  };
}

/** The bound host as programs of this machine name it in an address. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}

/** Between two looks for connections that have become idle while the server closes, in ms. */
const idleEveryMs = 50;

async function closeServer(
  server: FastifyInstance,
  connections: Connections,
  closing: AbortController,
  { drainMs, lingerMs }: HttpLimits,
): Promise<void> {
  const listener = server.server;
  const closeIdle = listener.closeIdleConnections.bind(listener);
  // Closing would cut idle connections at once, and with them requests that are on their way: they linger for a moment.
  listener.closeIdleConnections = () => {};
  // No new connections first: whoever is told to come back on another one is refused there, and does not wait in vain.
  if (listener.listening) listener.close();
  closing.abort();
  const overdue = setTimeout(() => connections.cutAll(), drainMs);
  const lingering = new AbortController();
  try {
    const closed = server.close();
    const idle = cutIdle(lingering.signal, lingerMs, () => {
      connections.cutSilent();
      closeIdle();
    });
    await closed;
    lingering.abort();
    await idle;
  } finally {
    clearTimeout(overdue);
  }
}

/** Calls `cut` again and again after a while, until `ended` is aborted. */
async function cutIdle(ended: AbortSignal, afterMs: number, cut: () => void): Promise<void> {
  const wait = (ms: number) => Promise.allSettled([delay(ms, undefined, { signal: ended })]);
  await wait(afterMs);
  while (!ended.aborted) {
    cut();
    await wait(idleEveryMs);
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
