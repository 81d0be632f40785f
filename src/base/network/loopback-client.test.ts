import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { assertLoopback, call, stream, type LoopbackReply } from "./index.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.closeAllConnections();
});

async function serve(listener: RequestListener): Promise<{ url: string; key: string }> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, key: "the-key" };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

const refused = (reply: LoopbackReply): never => {
  throw new Error(`refused with ${reply.status}`);
};

test("a request carries key, query and JSON, and any status comes back with its body", async () => {
  const server = await serve((request, response) => {
    void bodyOf(request).then((body) => {
      response.writeHead(409, { "content-type": "application/problem+json" });
      const { method, url, headers } = request;
      response.end(JSON.stringify({ method, url, key: headers.authorization, body }));
    });
  });
  const reply = await call(server, {
    method: "POST",
    path: "/api/v1/a b",
    query: { one: "ü&", many: ["1", "2"] },
    body: { text: "ä" },
  });
  expect(reply).toMatchObject({
    status: 409,
    body: {
      method: "POST",
      url: "/api/v1/a%20b?one=%C3%BC%26&many=1&many=2",
      key: "Bearer the-key",
      body: '{"text":"ä"}',
    },
  });
});

test("a form is sent as multipart with its file", async () => {
  const server = await serve((request, response) => {
    void bodyOf(request).then((body) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ type: request.headers["content-type"], body }));
    });
  });
  const form = new FormData();
  form.set("key", "a");
  form.set("file", new Blob(["content"]), "a.txt");
  const { body } = await call(server, { method: "POST", path: "/", body: form });
  expect(body).toMatchObject({
    type: expect.stringMatching(/^multipart\/form-data; boundary=/),
    body: expect.stringMatching(/name="key"[\s\S]*filename="a.txt"[\s\S]*content/),
  });
});

test("nobody there, a connection that breaks and an answer of another program are server_unreachable", async () => {
  const gone = await serve(() => {});
  await new Promise((resolve) => servers[0]?.close(resolve));
  const breaking = await serve((request) => request.socket.destroy());
  const foreign = await serve((_, response) => response.end("<html>"));
  for (const server of [gone, breaking, foreign])
    await expect(call(server, { method: "GET", path: "/" })).rejects.toMatchObject({
      code: "server_unreachable",
    });
});

test("an answer that does not come ends at its limit, an abort ends at once", async () => {
  const silent = await serve(() => {});
  await expect(call(silent, { method: "GET", path: "/", timeoutMs: 30 })).rejects.toThrow(
    "no answer within 0.03 s",
  );
  const controller = new AbortController();
  const pending = call(silent, { method: "GET", path: "/", signal: controller.signal });
  controller.abort();
  await expect(pending).rejects.toMatchObject({ code: "cancelled" });
});

test("events arrive one by one; a break in between is an error, the end is not", async () => {
  let broken = false;
  const server = await serve((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    response.write('id: 1\nevent: a\ndata: {"n":1}\n\n', () => {
      if (broken) response.destroy();
      else response.end("id: 2\nevent: b\ndata: 2\n\n");
    });
  });
  const request = { method: "GET", path: "/" } as const;
  const seen = [];
  for await (const event of stream(server, request, refused)) seen.push(event);
  expect(seen).toEqual([
    { event: "a", id: "1", data: { n: 1 } },
    { event: "b", id: "2", data: 2 },
  ]);
  broken = true;
  const again = stream(server, request, refused);
  expect((await again.next()).value).toMatchObject({ event: "a" });
  await expect(again.next()).rejects.toMatchObject({ code: "server_unreachable" });
});

test("a refused stream hands over the answer; leaving a stream closes its connection", async () => {
  let closed: (() => void) | undefined;
  const whenClosed = new Promise<void>((resolve) => (closed = resolve));
  const server = await serve((request, response) => {
    if (request.url === "/no") {
      response.writeHead(404, { "content-type": "application/problem+json" }).end("{}");
      return;
    }
    response.on("close", () => closed?.());
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: 1\n\n");
  });
  const no = stream(server, { method: "GET", path: "/no" }, refused);
  await expect(no.next()).rejects.toThrow("refused with 404");
  for await (const event of stream(server, { method: "GET", path: "/yes" }, refused)) {
    expect(event.data).toBe(1);
    break;
  }
  await whenClosed;
});

test.each([
  "http://example.org",
  "http://10.0.0.1:7340",
  "http://127.0.0.1.example.org",
  "http://[::2]:1",
  "https://127.0.0.1",
  "file:///etc/passwd",
  "",
])("the key is not sent to %j", async (url) => {
  await expect(call({ url, key: "k" }, { method: "GET", path: "/" })).rejects.toMatchObject({
    code: "server_unreachable",
    message: expect.stringContaining("not an address of this machine"),
  });
});

test.each(["http://127.0.0.1:7340", "http://[::1]:7340", "http://localhost:1", "http://127.9.9.9"])(
  "%s is this machine",
  (url) => expect(assertLoopback(url).protocol).toBe("http:"),
);

test("localhost is reached", async () => {
  const server = await serve((_, response) =>
    response.writeHead(200, { "content-type": "application/json" }).end("1"),
  );
  const named = { ...server, url: server.url.replace("127.0.0.1", "localhost") };
  expect(await call(named, { method: "GET", path: "/" })).toMatchObject({ status: 200, body: 1 });
});

test("a report in plain text is its text, but only from a Candor", async () => {
  const listen = (headers: Record<string, string>) =>
    serve((_, response) => response.writeHead(200, headers).end("report"));
  const ours = await listen({ "content-type": "text/plain; charset=utf-8", "x-request-id": "1" });
  expect(await call(ours, { method: "GET", path: "/" })).toMatchObject({ body: "report" });
  const foreign = await listen({ "content-type": "text/plain" });
  await expect(call(foreign, { method: "GET", path: "/" })).rejects.toThrow("not Candor");
});
