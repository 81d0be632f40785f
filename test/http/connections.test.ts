import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { PortInUseError } from "#base/errors/index.ts";
import { openHttp } from "#doors/http/index.ts";
import { openTestDoor, type TestDoor } from "./open-test-door.ts";
import { sampleOperations, slow } from "./sample-operations.ts";

const open = new Set<{ close(): unknown }>();
afterEach(async () => {
  vi.useRealTimers();
  for (const each of open) await each.close();
  open.clear();
});

async function openDoor(options: Parameters<typeof openTestDoor>[1] = {}): Promise<TestDoor> {
  const door = await openTestDoor(sampleOperations, options);
  open.add(door);
  return door;
}

/** A bare connection that collects what comes until the other side ends it. */
function bare(door: { port: number }) {
  const socket = connect(door.port, "127.0.0.1");
  let text = "";
  socket.on("data", (bytes) => (text += bytes.toString("latin1")));
  // A connection that is cut counts as ended, like one that is closed.
  socket.on("error", () => socket.destroy());
  const ended = once(socket, "close").then(() => text);
  return { socket, ended };
}

const getHealth = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

describe("over a socket", () => {
  test("the smoke test: an answer with all its headers", async () => {
    const door = await openDoor();
    const answer = await fetch(`${door.url}/health`);
    expect(await answer.json()).toMatchObject({ status: "ok" });
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "x-frame-options": "DENY",
      "cross-origin-opener-policy": "same-origin",
      "content-security-policy": expect.stringContaining("frame-ancestors 'none'"),
      "permissions-policy": expect.stringContaining("camera=()"),
      "x-request-id": expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  test.each([
    ["no HTTP at all", "hello\r\n\r\n", 400, "malformed_request"],
    [
      "an unknown method",
      "BREW /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
      400,
      "malformed_request",
    ],
    [
      "headers of 17 KiB",
      `GET /health HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(17 * 1024)}\r\n\r\n`,
      431,
      "headers_too_large",
    ],
    [
      "an address of 17 KiB",
      `GET /${"x".repeat(17 * 1024)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      431,
      "headers_too_large",
    ],
    ["no Host", "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n", 403, "origin_refused"],
    [
      "another server's address",
      "GET http://evil.example/health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
      403,
      "origin_refused",
    ],
    [
      "two lengths",
      "POST /api/v1/samples HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      400,
      "malformed_request",
    ],
    [
      "length and chunks",
      "POST /api/v1/samples HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      400,
      "malformed_request",
    ],
  ])(
    "%s is answered with a problem, and the connection ends",
    async (_what, text, status, code) => {
      const door = await openDoor();
      const { socket, ended } = bare(door);
      socket.write(text);
      const answer = await ended;
      expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      expect(answer).toContain("application/problem+json");
      expect(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")))).toMatchObject({ status, code });
    },
  );

  test("500 connections at once are all answered", async () => {
    const door = await openDoor();
    const answers = await Promise.all(
      Array.from({ length: 500 }, () => {
        const { socket, ended } = bare(door);
        socket.write(getHealth.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
        return ended;
      }),
    );
    expect(answers.filter((text) => text.startsWith("HTTP/1.1 200 "))).toHaveLength(500);
  });

  test("connections above the limit are closed, those below go on", async () => {
    const door = await openDoor({ flags: { "server.maxConnections": 2 } });
    const kept = [bare(door), bare(door)];
    for (const { socket } of kept) {
      socket.write(getHealth);
      await once(socket, "data");
    }
    expect(await bare(door).ended).toBe("");
    const [first] = kept;
    first?.socket.write(getHealth);
    expect(String(await once(first?.socket as Socket, "data"))).toMatch(/^HTTP\/1.1 200 /);
    for (const { socket } of kept) socket.destroy();
  });

  test("a body of 100 MB is refused without being read", async () => {
    const door = await openDoor();
    const { authorization = "" } = await door.as("api_user");
    const { socket, ended } = bare(door);
    socket.write(
      `POST /api/v1/samples HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n{`,
    );
    const answer = await ended;
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    expect(answer).toContain('"code":"payload_too_large"');
    expect(socket.bytesWritten).toBeLessThan(1000);
  });

  test("so is one that does not say its size, once it is over the limit", async () => {
    const door = await openDoor();
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(Buffer.alloc(64 * 1024, "x")),
    });
    const asked = await Promise.allSettled([
      fetch(`${door.url}/api/v1/samples`, {
        method: "POST",
        headers: { ...(await door.as("api_user")), "content-type": "application/json" },
        body,
        duplex: "half",
      } as RequestInit),
    ]);
    // The endless sender either reads the refusal or finds the connection closed; the server is there either way.
    const [outcome] = asked;
    if (outcome?.status === "fulfilled") expect(outcome.value.status).toBe(413);
    expect((await fetch(`${door.url}/health`)).status).toBe(200);
  });
});

describe("slow clients", () => {
  const limits = { connectMs: 100, receiveMs: 200, checkEveryMs: 50 };

  test("one that says nothing is cut", async () => {
    const door = await openDoor({ limits });
    expect(await bare(door).ended).toBe("");
  });

  test("one whose headers trickle gets 408", async () => {
    const door = await openDoor({ limits });
    const { socket, ended } = bare(door);
    socket.write("GET /health HTTP/1.1\r\nHost: localhost\r\n");
    const drip = setInterval(() => socket.write("X-A: b\r\n"), 20);
    const answer = await ended;
    clearInterval(drip);
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
    expect(answer).toContain('"code":"request_timeout"');
  });

  test("one whose body trickles gets 408", async () => {
    const door = await openDoor({ limits });
    const { authorization = "" } = await door.as("api_user");
    const { socket, ended } = bare(door);
    socket.write(
      `POST /api/v1/samples HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`,
    );
    const drip = setInterval(() => socket.write("x"), 20);
    const answer = await ended;
    clearInterval(drip);
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
    expect(answer).toContain('"code":"request_timeout"');
  });

  test("one that asks and then waits for a long answer is not slow", async () => {
    const door = await openDoor({ limits });
    Object.assign(slow, { running: 0, stopped: 0, answers: true });
    const asked = fetch(`${door.url}/api/v1/samples/slow`, {
      method: "POST",
      headers: await door.as("api_user"),
    });
    await expect.poll(() => slow.running).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(slow.stopped).toBe(0);
    const closed = door.close();
    open.clear();
    await Promise.allSettled([asked, closed]);
  });
});

describe("deadlines", () => {
  test.each([true, false])(
    "an operation over its time is told to stop and answered with 504 (it stops: %s)",
    async (answers) => {
      const door = await openDoor({ flags: { "server.requestTimeoutSeconds": 30 } });
      const headers = await door.as("api_user");
      Object.assign(slow, { running: 0, stopped: 0, answers });
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      const asked = door.server.inject({ method: "POST", url: "/api/v1/samples/slow", headers });
      while (slow.running === 0) await new Promise((resolve) => setImmediate(resolve));
      vi.advanceTimersByTime(30_000);
      const answer = await asked;
      vi.useRealTimers();
      expect(answer.statusCode).toBe(504);
      expect(answer.json()).toMatchObject({ code: "operation_timeout", retryable: true });
      expect(slow.stopped).toBe(1);
      const entry = answer.json().instance.replace("urn:candor:", "");
      expect(await door.app.ledger.get(entry)).toMatchObject({ code: "operation_timeout" });
    },
  );
});

describe("ports", () => {
  test("one that another Candor holds is refused with its number and its owner", async () => {
    const first = await openDoor();
    const again = openHttp(first.app, sampleOperations, { host: "127.0.0.1", port: first.port });
    await expect(again).rejects.toThrow(PortInUseError);
    await expect(again).rejects.toThrow(
      `Port ${first.port} on 127.0.0.1 is taken by another Candor. Choose another with --port or CANDOR_PORT.`,
    );
    expect((await fetch(`${first.url}/health`)).status).toBe(200);
  });

  test.each([
    ["says nothing", (socket: Socket) => socket.resume()],
    ["is no HTTP server", (socket: Socket) => socket.end("220 mail\r\n")],
    [
      "answers JSON of its own",
      (socket: Socket) =>
        socket.end(
          'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}',
        ),
    ],
  ])("one whose owner %s is refused by its number alone", async (_what, answer) => {
    const other = createServer(answer).listen(0, "127.0.0.1");
    await once(other, "listening");
    const sockets = new Set<Socket>();
    other.on("connection", (socket) => sockets.add(socket));
    const { port } = other.address() as { port: number };
    const door = await openDoor();
    const again = openHttp(door.app, sampleOperations, { host: "127.0.0.1", port });
    await expect(again).rejects.toThrow(`Port ${port} on 127.0.0.1 is taken. Choose another`);
    for (const socket of sockets) socket.destroy();
    other.close();
  });

  test("an address that is not ours is a fault of the configuration", async () => {
    const door = await openDoor();
    const elsewhere = openHttp(door.app, sampleOperations, { host: "192.0.2.1", port: 0 });
    await expect(elsewhere).rejects.toMatchObject({ code: "configuration_invalid" });
  });
});

describe("the end", () => {
  test("running requests end, idle connections close, new ones are refused", async () => {
    const door = await openDoor({ limits: { drainMs: 300 } });
    const { authorization = "" } = await door.as("api_user");
    const idle = bare(door);
    idle.socket.write(getHealth);
    await once(idle.socket, "data");
    const stream = await fetch(`${door.url}/api/v1/counting?after=wait`, {
      headers: { authorization },
    });
    const closed = door.close();
    open.clear();
    expect(await stream.text()).toMatch(/id: 3/);
    expect(await idle.ended).toMatch(/^HTTP\/1.1 200 /);
    await closed;
    await expect(fetch(`${door.url}/health`)).rejects.toThrow();
  });

  test("what does not end in time is cut, and told to stop", async () => {
    const door = await openDoor({ limits: { drainMs: 100 } });
    Object.assign(slow, { running: 0, stopped: 0, answers: false });
    const asked = fetch(`${door.url}/api/v1/samples/slow`, {
      method: "POST",
      headers: await door.as("api_user"),
    });
    await expect.poll(() => slow.running).toBe(1);
    const closed = door.close();
    open.clear();
    await expect(asked).rejects.toThrow();
    await closed;
    expect(slow.stopped).toBe(1);
  });
});
