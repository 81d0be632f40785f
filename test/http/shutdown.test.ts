import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { openTestDoor } from "./open-test-door.ts";
import { sampleOperations } from "./sample-operations.ts";
import { closeWorkplaces, openWorkplace, type Server } from "../faults/start-server.ts";

afterEach(closeWorkplaces);

/** Stops under load in one run of this test; more by hand, with CANDOR_TEST_STOPS. */
const stops = Number(process.env["CANDOR_TEST_STOPS"] ?? 2);

type Load = {
  /** Answers by their status. */
  readonly answers: Map<number, number>;
  /** Requests that were not even accepted: the connection was refused. */
  readonly unaccepted: number;
  /** Requests whose connection broke before there was an answer, and what for. */
  readonly dropped: readonly string[];
};

const newLoad = () => ({
  answers: new Map<number, number>(),
  unaccepted: 0,
  dropped: [] as string[],
});

/** Keeps so many connections busy with reads and durable writes until the server accepts no more. */
async function loadUntilRefused(
  server: Server,
  connections: number,
  load: ReturnType<typeof newLoad>,
): Promise<Load> {
  const { hostname, port } = new URL(server.url);
  const headers = { authorization: `Bearer ${server.key}`, "content-type": "application/json" };
  let made = 0;
  const work = async (agent: Agent) => {
    for (;;) {
      const write = (made += 1) % 4 === 0;
      const sent = request({
        agent,
        hostname: hostname.replace(/[[\]]/g, ""),
        port,
        headers,
        ...(write
          ? { method: "POST", path: "/api/v1/collections" }
          : { method: "GET", path: "/api/v1/collections" }),
      });
      const outcome = await new Promise<number | NodeJS.ErrnoException>((resolve) => {
        sent.on("error", resolve);
        sent.on("response", (answer) => {
          answer.resume();
          answer.on("end", () => resolve(answer.statusCode ?? 0));
          answer.on("error", resolve);
        });
        sent.end(write ? JSON.stringify({ name: `c${process.hrtime.bigint()}` }) : undefined);
      });
      if (typeof outcome === "number")
        load.answers.set(outcome, (load.answers.get(outcome) ?? 0) + 1);
      else if (outcome.code === "ECONNREFUSED") {
        load.unaccepted += 1;
        return;
      } else load.dropped.push(outcome.code ?? outcome.message);
    }
  };
  const agents = Array.from(
    { length: connections },
    () => new Agent({ keepAlive: true, maxSockets: 1 }),
  );
  await Promise.all(agents.map(work));
  for (const agent of agents) agent.destroy();
  return load;
}

test("SIGTERM under load: every request that was accepted is answered, and the exit is clean", async () => {
  const place = await openWorkplace();
  for (let stop = 0; stop < stops; stop += 1) {
    const server = await place.serve();
    const load = newLoad();
    const loading = loadUntilRefused(server, 24, load);
    // Every connection is in use by then: one that the system took but the server did not yet is nobody's promise.
    await expect.poll(() => load.answers.get(200) ?? 0, { timeout: 20_000 }).toBeGreaterThan(100);
    await delay(7 * (stop % 10));
    const ended = await server.stop();
    const { answers, dropped } = await loading;
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr).not.toContain("not everything ended");
    expect(dropped).toEqual([]);
    const known = [...answers.keys()].filter((status) => ![200, 201, 503].includes(status));
    expect(known).toEqual([]);
  }
}, 120_000);

test("while it ends: health says no, connections are asked to end, uploads in flight are answered", async () => {
  const place = await openWorkplace();
  const server = await place.serve();
  const port = Number(new URL(server.url).port);
  const socketOf = (text: string) => {
    const socket = connect(port, "127.0.0.1");
    const state = { text: "", closed: false };
    socket.on("data", (bytes) => (state.text += bytes.toString("latin1")));
    socket.on("error", () => socket.destroy());
    const closed = new Promise((resolve) => socket.once("close", resolve));
    if (text !== "") socket.write(text);
    return { socket, state, closed };
  };
  const head = (method: string, path: string, more = "") =>
    `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${server.key}\r\n${more}\r\n`;
  await server.ask("POST", "/collections", { name: "kitchen" });
  const body = JSON.stringify({ content: "Knead the dough.", key: "bread" });
  const upload = socketOf(
    head(
      "POST",
      "/api/v1/collections/kitchen/documents",
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`,
    ) + body.slice(0, 10),
  );
  const idle = socketOf(head("GET", "/health"));
  const silent = socketOf("");
  await once(idle.socket, "data");
  await delay(50);
  server.child.kill("SIGTERM");
  await server.saw("ending");
  idle.socket.write(head("GET", "/health"));
  await idle.closed;
  const second = idle.state.text.slice(idle.state.text.lastIndexOf("HTTP/1.1 "));
  expect(second).toMatch(/^HTTP\/1\.1 503 /);
  expect(second).toMatch(/\r\nconnection: close\r\n/i);
  expect(second).toMatch(/\r\nretry-after: 1\r\n/i);
  await silent.closed;
  upload.socket.write(body.slice(10));
  await upload.closed;
  expect(upload.state.text).toMatch(/^HTTP\/1\.1 201 /);
  expect(upload.state.text).toMatch(/\r\nconnection: close\r\n/i);
  const { code } = await server.ended;
  expect(code).toBe(0);
}, 60_000);

test("a second SIGTERM ends at once what the first would have waited for", async () => {
  const place = await openWorkplace();
  const server = await place.serve();
  await server.ask("POST", "/collections", { name: "kitchen" });
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  socket.on("error", () => socket.destroy());
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.write(
    `POST /api/v1/collections/kitchen/documents HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${server.key}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
  );
  await delay(50);
  server.child.kill("SIGTERM");
  await server.saw("ending");
  server.child.kill("SIGTERM");
  const { code } = await server.ended;
  await closed;
  expect(code).toBe(130);
}, 60_000);

test("streams that the end cuts say so in their last event", async () => {
  const door = await openTestDoor(sampleOperations);
  const { authorization = "" } = await door.as("read_only");
  const cut = await fetch(`${door.url}/api/v1/counting?after=wait`, { headers: { authorization } });
  const whole = await fetch(`${door.url}/api/v1/counting`, { headers: { authorization } });
  expect(await whole.text()).not.toContain("stream.end");
  const closed = door.close();
  expect(await cut.text()).toMatch(
    /event: count\.step\n[^]*event: stream\.end\ndata: \{"reason":"server_ending","retryAfterMs":1000\}\n\n$/,
  );
  await closed;
});
