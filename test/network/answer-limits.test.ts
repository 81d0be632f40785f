import { getEventListeners, once } from "node:events";
import { describe, expect, test } from "vitest";
import { createOutgoing } from "#base/network/index.ts";
import { ask, clientFor, code, openCanary, read, say, serve, serveBytes } from "./local-servers.ts";

describe("an answer", () => {
  test.each([
    ["announced", "HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n"],
    ["in one piece", `HTTP/1.1 200 OK\r\n\r\n${"x".repeat(1001)}`],
    [
      "chunked",
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n${"x".repeat(1001)}\r\n0\r\n\r\n`,
    ],
    ["of an error", `HTTP/1.1 500 No\r\n\r\n${"x".repeat(1001)}`],
  ])("over its limit is cut off: %s", async (_, text) => {
    await expect(ask(await say(text), { limits: { maxBytes: 1000 } })).rejects.toMatchObject(
      code("answer_refused", /more than 1000 bytes/),
    );
  });

  test("just at its limit is taken whole", async () => {
    const { port } = await serve((_, response) => response.end("x".repeat(1000)));
    expect(await ask(port, { limits: { maxBytes: 1000 } })).toHaveLength(1000);
  });

  test("without an end is cut off while it streams, and the connection closed", async () => {
    const closed = Promise.withResolvers<void>();
    const { port } = await serve((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write("x".repeat(16_384)));
      };
      response.on("drain", more).on("close", closed.resolve);
      more();
    });
    let size = 0;
    const origin = `http://127.0.0.1:${port}`;
    const reply = await clientFor(origin).request({ url: origin, limits: { maxBytes: 1_000_000 } });
    await expect(async () => {
      for await (const piece of reply.body) size += piece.length;
    }).rejects.toMatchObject(code("answer_refused"));
    expect(size).toBeGreaterThan(900_000);
    expect(size).toBeLessThanOrEqual(1_000_000);
    await closed.promise;
  });

  test.each([
    ["content-encoding: gzip", /encoding "gzip"/],
    ["content-encoding: identity, br", /encoding "identity, br"/],
    ["transfer-encoding: gzip, chunked", /encoding "gzip, chunked"/],
  ])("with %s is refused, because unpacking has no limit", async (header, message) => {
    const port = await say(`HTTP/1.1 200 OK\r\n${header}\r\n\r\n0\r\n\r\n`);
    await expect(ask(port)).rejects.toMatchObject(code("answer_refused", message));
  });

  test("to a HEAD may say how it would be encoded and how long it would be", async () => {
    const port = await say(
      "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 99\r\n\r\n",
    );
    expect(await ask(port, { method: "HEAD", limits: { maxBytes: 10 } })).toBe("");
  });

  test.each([
    ["headers without an end", `HTTP/1.1 200 OK\r\nx: ${"x".repeat(17_000)}`, "answer_refused"],
    ["no HTTP", "220 mail.test ESMTP\r\n", "answer_refused"],
    [
      "two lengths",
      "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
      "answer_refused",
    ],
    [
      "another protocol",
      "HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
      "destination_unreachable",
    ],
  ])("of %s is refused", async (_, text, expected) => {
    await expect(ask(await say(text))).rejects.toMatchObject(code(expected));
  });

  test("with thousands of small headers loses none", async () => {
    const many = "a: b\r\n".repeat(4_000);
    const origin = `http://127.0.0.1:${await say(`HTTP/1.1 204 OK\r\n${many}\r\n`)}`;
    const { headers } = await clientFor(origin).request({ url: origin });
    expect(String(headers["a"]).split(", ")).toHaveLength(4_000);
  });

  test.each([
    ["before an answer", ""],
    ["within the headers", "HTTP/1.1 200 OK\r\nx: "],
    ["within the body", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"],
    ["within a chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf"],
  ])("that breaks off %s is no answer", async (_, text) => {
    const port = await serveBytes((socket) => socket.once("data", () => socket.end(text)));
    await expect(ask(port)).rejects.toMatchObject(code("destination_unreachable"));
  });
});

describe("waiting ends", () => {
  const silence = { idleMs: 30, timeoutMs: 20_000, connectMs: 20_000 };
  const deadline = { idleMs: 20_000, timeoutMs: 60, connectMs: 20_000 };
  const head = "HTTP/1.1 200 OK\r\n\r\nhalf";

  test("when nobody listens, and when the name is not known", async () => {
    const { port, close } = await openCanary();
    await close();
    await expect(ask(port)).rejects.toMatchObject(code("destination_unreachable", /ECONNREFUSED/));
    const unknown = { resolve: async () => [] };
    await expect(
      createOutgoing(unknown).request({ url: "http://none.test" }),
    ).rejects.toMatchObject(code("destination_unreachable", /none\.test has no address/));
    await expect(createOutgoing().request({ url: "http://none.invalid" })).rejects.toMatchObject(
      code("destination_unreachable", /http:\/\/none\.invalid \(E/),
    );
  });

  test.each([
    ["a server that takes the connection and says nothing", "", silence, /said nothing/],
    ["a server that never answers, at the deadline", "", deadline, /did not end/],
    ["a body that stops", head, silence, /nothing/],
    ["a body that stops, at the deadline", head, deadline, /did not end/],
  ])("for %s", async (_, text, limits, message) => {
    const port = await say(text);
    await expect(ask(port, { limits })).rejects.toMatchObject(code("destination_timeout", message));
  });

  test.each([
    ["headers", "HTTP/1.1 200 OK\r\n", "x: y\r\n"],
    ["a body", "HTTP/1.1 200 OK\r\n\r\n", "x"],
    ["answers before the answer", "", "HTTP/1.1 100 Continue\r\n\r\n"],
  ])("at the deadline for %s in drops", async (_, start, drop) => {
    const port = await serveBytes((socket) => {
      socket.once("data", () => socket.write(start));
      const drops = setInterval(() => socket.write(drop), 5);
      socket.on("close", () => clearInterval(drops));
    });
    const limits = { idleMs: 20_000, timeoutMs: 200 };
    await expect(ask(port, { limits })).rejects.toMatchObject(code("destination_timeout"));
  });

  test.each(["http", "https"])("for a name that is not resolved (%s)", async (scheme) => {
    const client = createOutgoing({ resolve: () => new Promise(() => {}) });
    await expect(
      client.request({ url: `${scheme}://slow.test`, limits: { connectMs: 30 } }),
    ).rejects.toMatchObject(code("destination_timeout", /could not be connected/));
  });

  test("for a TLS handshake that never ends", async () => {
    const origin = `https://127.0.0.1:${await serveBytes(() => {})}`;
    const limits = { connectMs: 60, idleMs: 20_000 };
    await expect(clientFor(origin).request({ url: origin, limits })).rejects.toMatchObject(
      code("destination_timeout", /could not be connected/),
    );
  });

  test("at the deadline for a body that nobody reads", async () => {
    const closed = Promise.withResolvers<void>();
    const port = await serveBytes((socket) => {
      socket.once("data", () => socket.write(head));
      socket.on("close", () => closed.resolve());
    });
    const origin = `http://127.0.0.1:${port}`;
    const reply = await clientFor(origin).request({ url: origin, limits: { timeoutMs: 400 } });
    await closed.promise;
    await expect(read(reply)).rejects.toMatchObject(code("destination_timeout"));
  });

  test("when it is aborted: before, while resolving, while waiting, while reading", async () => {
    const already = AbortSignal.abort();
    await expect(ask(1, { signal: already })).rejects.toMatchObject(code("cancelled"));

    const controllers = Array.from({ length: 3 }, () => new AbortController());
    const [resolving, waiting, reading] = controllers as [
      AbortController,
      AbortController,
      AbortController,
    ];
    const stuck = createOutgoing({
      resolve: () => {
        resolving.abort();
        return new Promise(() => {});
      },
    });
    await expect(
      stuck.request({ url: "http://slow.test", signal: resolving.signal }),
    ).rejects.toMatchObject(code("cancelled"));

    const silent = await serveBytes((socket) => socket.once("data", () => waiting.abort()));
    await expect(ask(silent, { signal: waiting.signal })).rejects.toMatchObject(code("cancelled"));

    const half = `http://127.0.0.1:${await say(head)}`;
    const reply = await clientFor(half).request({ url: half, signal: reading.signal });
    await expect(async () => {
      for await (const _ of reply.body) reading.abort();
    }).rejects.toMatchObject(code("cancelled"));
    for (const { signal } of controllers) expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test("for the server when the reader leaves or closes", async () => {
    const closed: Promise<unknown>[] = [];
    const port = await serveBytes((socket) => {
      closed.push(once(socket, "close"));
      socket.once("data", () => socket.write(head));
    });
    const origin = `http://127.0.0.1:${port}`;
    const { signal } = new AbortController();
    const left = await clientFor(origin).request({ url: origin, signal });
    for await (const _ of left.body) break;
    const shut = await clientFor(origin).request({ url: origin, signal });
    shut.close();
    shut.close();
    await Promise.all(closed);
    expect(closed).toHaveLength(2);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});
