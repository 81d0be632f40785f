import type { RequestListener } from "node:http";
import { describe, expect, test } from "vitest";
import { toProblem, type CandorError } from "#base/errors/index.ts";
import { createOutgoing } from "#base/network/index.ts";
import { ask, clientFor, code, named, read, serve, type Canary } from "./local-servers.ts";

/** Redirects to the `to` of the query, with its `status`; else shows what came. */
const redirecting: RequestListener = (request, response) => {
  const { searchParams } = new URL(request.url ?? "", "http://x");
  const to = searchParams.get("to");
  if (to !== null) {
    response.writeHead(Number(searchParams.get("status") ?? 302), { location: to }).end("moved");
    return;
  }
  const pieces: Buffer[] = [];
  request.on("data", (piece: Buffer) => pieces.push(piece));
  request.on("end", () => {
    const body = Buffer.concat(pieces).toString();
    response.end(JSON.stringify({ method: request.method, url: request.url, body }));
  });
};
const to = (url: string, status = 302) => `?status=${status}&to=${encodeURIComponent(url)}`;

describe("a request", () => {
  test("carries method, path, query, headers and body, and the answer comes back whatever its status", async () => {
    const server = await serve((request, response) => {
      response.writeHead(418, { "x-answer": "yes" });
      request.pipe(response);
    });
    const origin = named("a", server);
    const reply = await clientFor(origin).request({
      method: "POST",
      url: `${origin}/p%20q?x=ü#fragment`,
      headers: { "Content-Type": "text/plain", "X-Own": "1" },
      body: "täxt",
    });
    expect(await read(reply)).toBe("täxt");
    expect(reply).toMatchObject({ status: 418, headers: { "x-answer": "yes" } });
    expect(reply.finalUrl).toBe(`${origin}/p%20q?x=%C3%BC#fragment`);
    expect(server.hits[0]).toMatchObject({
      host: `a.test:${server.port}`,
      path: "/p%20q?x=%C3%BC",
      headers: {
        "content-type": "text/plain",
        "content-length": "5",
        "x-own": "1",
        "user-agent": "candor",
        "accept-encoding": "identity",
        connection: "close",
      },
    });
  });

  test("sends a stream piece by piece; a fault of the stream is the fault that comes back", async () => {
    const { port } = await serve((request, response) => request.pipe(response));
    async function* pieces(fault?: Error) {
      yield Buffer.from("one ");
      if (fault) throw fault;
      yield Buffer.from("two");
    }
    expect(await ask(port, { method: "PUT", body: pieces() })).toBe("one two");
    const fault = new Error("the file is gone");
    await expect(ask(port, { method: "PUT", body: pieces(fault) })).rejects.toBe(fault);
  });

  test.each([
    [{ Host: "other.test" }, /host is set by Candor/],
    [{ "transfer-encoding": "chunked" }, /transfer-encoding is set by Candor/],
    [{ "Content-Length": "3" }, /content-length is set by Candor/],
    [{ "x-a": "1\r\nx-b: secret-value" }, /"x-a" has characters/],
    [{ "x a": "1" }, /"x a" has characters/],
    [{ Authorization: "1", authorization: "2" }, /authorization is given twice/],
  ])("with the headers %j is refused before anything is sent", async (headers, message) => {
    const { port, hits } = await serve();
    const refused = ask(port, { headers: headers as Record<string, string> });
    await expect(refused).rejects.toMatchObject(code("input_invalid", message));
    await expect(refused).rejects.not.toThrow("secret-value");
    expect(hits).toEqual([]);
  });

  test("with a body where the method has none is refused", async () => {
    await expect(ask(1, { body: "x" })).rejects.toMatchObject(code("input_invalid", /GET/));
  });
});

describe("a redirect", () => {
  test("is followed hop by hop, relative ones and unescaped UTF-8 included", async () => {
    const server = await serve(redirecting);
    const origin = named("a", server);
    const last = Buffer.from("/ü?x=1").toString("latin1");
    const url = `${origin}/${to(`${origin}/${to(last, 308)}`, 301)}`;
    const reply = await clientFor(origin).request({ url });
    expect(JSON.parse(await read(reply))).toMatchObject({ method: "GET", url: "/%C3%BC?x=1" });
    expect(reply.finalUrl).toBe(`${origin}/%C3%BC?x=1`);
    expect(server.hits).toHaveLength(3);
  });

  test.each([
    [5, undefined],
    [20, 20],
    [0, 0],
  ])("without an end is followed %i times", async (followed, maxRedirects) => {
    const server = await serve((_, response) =>
      response.writeHead(302, { location: "/again" }).end(),
    );
    const limits = maxRedirects === undefined ? {} : { maxRedirects };
    await expect(ask(server.port, { limits })).rejects.toMatchObject(
      code("answer_refused", /redirects once more/),
    );
    expect(server.hits).toHaveLength(followed + 1);
  });

  test("without a place to go, and a 304, are answers", async () => {
    const server = await serve((request, response) =>
      response.writeHead(request.url === "/304" ? 304 : 302).end(),
    );
    const origin = named("a", server);
    const client = clientFor(origin);
    expect(await client.request({ url: `${origin}/302` })).toMatchObject({ status: 302 });
    expect(await client.request({ url: `${origin}/304` })).toMatchObject({ status: 304 });
  });

  const secrets = {
    Authorization: "Bearer secret-1",
    Cookie: "session=secret-2",
    "Proxy-Authorization": "Basic secret-3",
    "X-Api-Key": "secret-4",
    "X-Whatever": "secret-5",
  };
  const credentialsSeen = (canary: Canary) =>
    canary.hits.map(({ host, headers }) => [
      host.replace(/\.test\.?:.*/, ""),
      (JSON.stringify(headers).match(/secret-\d/g) ?? []).length,
      headers.accept,
    ]);

  test.each([
    ["another host", (server: Canary) => named("b", server), "b"],
    ["another port", (_: Canary, second: Canary) => named("a", second), "a"],
    ["a subdomain", (server: Canary) => named("sub.a", server), "sub.a"],
    ["the same host with a dot", (server: Canary) => `http://a.test.:${server.port}`, "a"],
  ])("to %s takes no credential along, nor back again", async (_, other, host) => {
    const first = await serve(redirecting);
    const second = await serve(redirecting);
    const origin = named("a", first);
    const elsewhere = other(first, second);
    const client = clientFor(origin, elsewhere);
    const away = `${elsewhere}/${to(`${origin}/back`)}`;
    const headers = { ...secrets, accept: "text/html" };
    await client.request({ url: `${origin}/${to(away)}`, headers });
    const { "X-Whatever": bound, ...rest } = secrets;
    await client.request({
      url: `${origin}/${to(away)}`,
      headers: { ...rest, accept: "text/html" },
      credentials: { origin, headers: { "X-Whatever": bound } },
    });
    const round = [
      ["a", 5, "text/html"],
      [host, 0, "text/html"],
      ["a", 0, "text/html"],
    ];
    const seen = [...credentialsSeen(first), ...credentialsSeen(second)];
    const sorted = (rows: unknown[]) => rows.map((row) => JSON.stringify(row)).toSorted();
    expect(sorted(seen)).toEqual(sorted([...round, ...round]));
  });

  test("within an origin keeps the credentials", async () => {
    const server = await serve(redirecting);
    const origin = named("a", server);
    const request = { url: `${origin}/${to("/next")}`, headers: { Authorization: "secret-1" } };
    await clientFor(origin).request(request);
    expect(credentialsSeen(server).map(([, count]) => count)).toEqual([1, 1]);
  });

  test("that nobody asked for cannot send credentials: those of another origin are refused at once", async () => {
    const server = await serve();
    const credentials = { origin: "https://a.test", headers: { authorization: "secret-1" } };
    await expect(
      clientFor(named("a", server)).request({ url: named("a", server), credentials }),
    ).rejects.toMatchObject(code("destination_refused", /belong to https:\/\/a\.test and/));
    expect(server.hits).toEqual([]);
  });

  test.each([
    [303, "GET", ""],
    [307, "POST", "content"],
    [308, "POST", "content"],
  ])("with %i of a POST becomes a %s of the same origin", async (status, method, body) => {
    const server = await serve(redirecting);
    const sent = { method: "POST", body: "content", headers: { "content-type": "a/b" } } as const;
    const url = `http://127.0.0.1:${server.port}/${to("/next", status)}`;
    expect(JSON.parse(await ask(server.port, { ...sent, url }))).toMatchObject({ method, body });
    expect(server.hits[1]?.headers["content-type"]).toBe(body === "" ? undefined : "a/b");
  });

  test.each([301, 302])(
    "with %i of a POST is refused: it would become something else",
    async (status) => {
      const server = await serve(redirecting);
      const url = `http://127.0.0.1:${server.port}/${to("/next", status)}`;
      await expect(ask(server.port, { method: "POST", body: "x", url })).rejects.toMatchObject(
        code("answer_refused", /Give the final address/),
      );
      expect(server.hits).toHaveLength(1);
    },
  );

  test("sends no body to another origin, and no stream twice", async () => {
    const server = await serve(redirecting);
    const [a, b] = [named("a", server), named("b", server)];
    const client = clientFor(a, b);
    async function* stream() {
      yield Buffer.from("once");
    }
    await expect(
      client.request({ method: "POST", url: `${a}/${to(`${b}/`, 307)}`, body: "x" }),
    ).rejects.toMatchObject(code("destination_refused", /not sent to another/));
    await expect(
      client.request({ method: "POST", url: `${a}/${to("/next", 307)}`, body: stream() }),
    ).rejects.toMatchObject(code("answer_refused", /a stream and is gone/));
    const seen = await client.request({
      method: "POST",
      url: `${a}/${to(`${b}/`, 303)}`,
      body: "x",
    });
    expect(JSON.parse(await read(seen))).toEqual({ method: "GET", url: "/", body: "" });
    expect(server.hits.map(({ host }) => host.slice(0, 1))).toEqual(["a", "a", "a", "b"]);
  });
});

test("two requests never share a connection", async () => {
  const ports = new Set<number | undefined>();
  const { port } = await serve((request, response) => {
    ports.add(request.socket.remotePort);
    response.writeHead(200, { connection: "keep-alive" }).end("x");
  });
  await ask(port);
  await ask(port);
  expect(ports.size).toBe(2);
});

test.each([
  "https://user:secret-1@a.test/",
  "http://127.0.0.1:1/secret-1?token=secret-1",
  "ftp://a.test/?secret-1",
  "http://a.test\\secret-1",
  "http://[secret-1]/",
  "http://a.test:22/secret-1",
])("no message shows more of %s than its origin", async (url) => {
  const headers = { authorization: "Bearer secret-1" };
  const thrown = await createOutgoing()
    .request({ url, headers })
    .then(
      () => null,
      (error: CandorError) => error,
    );
  expect(thrown?.code).toBe("destination_refused");
  expect(JSON.stringify(thrown && toProblem(thrown))).not.toContain("secret-1");
});

test.each(["http://a.test/path", "http://a.test?x", "a.test", "ftp://a.test", "http://u@a.test"])(
  "%s is no origin that can be allowed",
  (entry) => {
    expect(() => createOutgoing({ allow: [entry] })).toThrow(
      expect.objectContaining({ code: "destination_refused" }),
    );
  },
);
