import {
  createServer as createHttpServer,
  type IncomingHttpHeaders,
  type RequestListener,
} from "node:http";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { afterEach, expect } from "vitest";
import { createOutgoing, type OutgoingRequest } from "#base/network/index.ts";

/** A server on every address of this machine. What reaches it is written down. */
export type Canary = {
  readonly port: number;
  readonly hits: {
    readonly host: string;
    readonly path: string;
    readonly headers: IncomingHttpHeaders;
  }[];
  readonly close: () => Promise<void>;
};

/** Listens on IPv4 and, where the machine has it, IPv6. Answers "here" unless told otherwise. */
export async function openCanary(
  answer: RequestListener = (_, response) => response.end("here"),
): Promise<Canary> {
  const hits: Canary["hits"] = [];
  const server = createHttpServer((request, response) => {
    const { url: path = "", headers } = request;
    hits.push({ host: headers.host ?? "", path, headers });
    answer(request, response);
  });
  // Without a host Node takes `::` with IPv4 in it, and 0.0.0.0 on machines without IPv6.
  await new Promise<void>((resolve) => server.listen(0, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    hits,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

export async function serve(answer?: RequestListener): Promise<Canary> {
  const canary = await openCanary(answer);
  closing.push(canary.close);
  return canary;
}

/** A server that speaks bytes, not HTTP. */
export async function serveBytes(onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => socket.destroy()));
    onSocket(socket);
  });
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** Says `text` as soon as it is asked anything. */
export const say = (text: string) =>
  serveBytes((socket) => socket.once("data", () => socket.write(text)));

/** A client for names that all lead to this machine; each origin is one that the operator named. */
export function clientFor(...origins: string[]) {
  return createOutgoing({ allow: origins, resolve: async () => ["127.0.0.1"] });
}

export const named = (name: string, { port }: { port: number }) => `http://${name}.test:${port}`;

export async function read(reply: { body: AsyncIterable<Uint8Array> }): Promise<string> {
  const pieces = [];
  for await (const piece of reply.body) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

/** Asks a server of this machine and reads its answer. */
export async function ask(port: number, request: Partial<OutgoingRequest> = {}): Promise<string> {
  const origin = `http://127.0.0.1:${port}`;
  return read(await clientFor(origin).request({ url: `${origin}/`, ...request }));
}

export const code = (expected: string, message: RegExp = /./) => ({
  code: expected,
  message: expect.stringMatching(message),
});
