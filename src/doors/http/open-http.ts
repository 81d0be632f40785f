import type { FastifyInstance } from "fastify";
import type { App, Operation } from "#operations/define-operation.ts";
import { createServer } from "./create-server.ts";
import type { Door } from "./door.ts";
import { httpLimits, type HttpLimits } from "./limits.ts";
import { listen } from "./listen.ts";

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
  const shown = host.includes(":") ? `[${host}]` : host;
  let closed: Promise<void> | undefined;
  return {
    url: `http://${shown}:${port}`,
    host,
    port,
    server,
    close: () => (closed ??= closeServer(server, closing, limits.drainMs)),
  };
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
