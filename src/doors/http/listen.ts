import type { FastifyInstance } from "fastify";
import { ConfigurationInvalidError, PortInUseError } from "#base/errors/index.ts";
import { call, type LoopbackReply } from "#base/network/index.ts";

/** How long the owner of a taken port gets to say who it is, in ms. */
const ownerMs = 1000;

/** Starts listening and answers the real port. Raises PortInUseError, or ConfigurationInvalidError for an address that cannot be had. */
export async function listen(
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
