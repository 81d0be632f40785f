import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

type Attribute = { key: string; value: Record<string, unknown> };

/** A span as OTLP writes it in JSON. */
export type OtlpSpan = {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: Attribute[];
  status: { code?: number };
  links: { traceId: string; spanId: string }[];
};

type OtlpBody = {
  resourceSpans: {
    resource: { attributes: Attribute[] };
    scopeSpans: { scope: { name: string; version: string }; spans: OtlpSpan[] }[];
  }[];
};

/** A collector on a port of this machine that keeps what it was sent. */
export type Collector = {
  readonly url: string;
  readonly requests: {
    readonly method: string;
    readonly path: string;
    readonly headers: IncomingHttpHeaders;
    readonly text: string;
  }[];
  spans(): OtlpSpan[];
  resources(): Record<string, unknown>[];
  close(): Promise<void>;
};

/** How a collector answers: a whole answer, `hang` (never), or `cut` (the connection ends without one). */
export type Answer = { readonly status: number; readonly text: string } | "hang" | "cut";

export async function openCollector(
  answer: () => Answer = () => ({ status: 200, text: "{}" }),
): Promise<Collector> {
  const requests: Collector["requests"] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url: path = "", headers } = request;
      requests.push({ method, path, headers, text: Buffer.concat(chunks).toString() });
      const given = answer();
      if (given === "hang") return;
      if (given === "cut") return void response.destroy();
      response.writeHead(given.status, { "content-type": "application/json" }).end(given.text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const bodies = () => requests.map(({ text }) => JSON.parse(text) as OtlpBody);
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    spans: () =>
      bodies().flatMap(({ resourceSpans }) =>
        resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
      ),
    resources: () =>
      bodies().flatMap(({ resourceSpans }) =>
        resourceSpans.map(({ resource }) => attributesOf(resource)),
      ),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Attributes by name, each with its plain value. */
export function attributesOf(of: { attributes: Attribute[] }): Record<string, unknown> {
  return Object.fromEntries(of.attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
