import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { defineOperation, type Operation } from "#operations/define-operation.ts";
import { operations } from "#operations/index.ts";
import { boundedOperations } from "../../src/doors/http/limit-load.ts";
import { openTestDoor, type TestDoor } from "./open-test-door.ts";
import { sampleOperations } from "./sample-operations.ts";

/** Calls that wait until the test lets them go, under the name of an operation that has a bound. */
const held = { running: [] as number[], release: [] as (() => void)[] };

const holding = defineOperation({
  name: "search.explain",
  summary: "Waits until it is let go",
  input: z.strictObject({ at: z.int() }),
  output: z.object({ at: z.int() }),
  effect: "read",
  permission: { role: "read_only" },
  http: { method: "POST", path: "/held" },
  cli: null,
  run: async ({ input }) => {
    held.running.push(input.at);
    await new Promise<void>((resolve) => held.release.push(resolve));
    return input;
  },
});

const blocking = defineOperation({
  name: "samples.block",
  summary: "Keeps the event loop for a while",
  input: z.strictObject({ ms: z.int() }),
  output: z.object({}),
  effect: "read",
  permission: { role: "read_only" },
  http: { method: "POST", path: "/block" },
  cli: null,
  run: async ({ input }) => {
    block(input.ms);
    return {};
  },
});

const large = defineOperation({
  name: "samples.large",
  summary: "Answers with more than any buffer holds",
  input: z.strictObject({}),
  output: z.object({ text: z.string() }),
  effect: "read",
  permission: { role: "read_only" },
  http: { method: "GET", path: "/large" },
  cli: null,
  run: async () => ({ text: "x".repeat(32 * 1024 * 1024) }),
});

function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

const table = [...sampleOperations, holding, blocking, large] as unknown as readonly Operation[];

/** For polls, on a busy machine. */
const patience = { timeout: 15_000 };

const open = new Set<TestDoor>();
afterEach(async () => {
  held.running = [];
  for (const release of held.release.splice(0)) release();
  for (const door of open) await door.close();
  open.clear();
});

async function openDoor(limits: NonNullable<Parameters<typeof openTestDoor>[1]>["limits"] = {}) {
  const door = await openTestDoor(table, { limits });
  open.add(door);
  return { door, headers: await door.as("read_only") };
}

const refused = (door: TestDoor, reason: string) =>
  door.app.metrics.snapshot().counters.find(({ labels }) => labels["reason"] === reason)?.value ??
  0;

describe("calls of a costly operation", () => {
  test("run a few at a time, wait in order, and above that are refused at once", async () => {
    const { door, headers } = await openDoor();
    const url = "/api/v1/held";
    const send = (at: number) =>
      door.server.inject({ method: "POST", url, headers, payload: { at } });
    const accepted: ReturnType<typeof send>[] = [];
    // One after the other, so that their order is known.
    for (let at = 0; at < 72; at += 1) {
      accepted.push(send(at));
      await expect.poll(() => held.running.length, patience).toBe(Math.min(at + 1, 8));
      await delay(1);
    }
    const over = await Promise.all([send(72), send(73)]);
    for (const answer of over) {
      expect(answer.statusCode).toBe(503);
      expect(answer.json()).toMatchObject({ code: "overloaded", retryable: true });
      expect(answer.headers["retry-after"]).toBe("1");
    }
    expect(refused(door, "overloaded")).toBe(2);
    // Others are not affected.
    expect((await door.server.inject({ url: "/health", headers })).statusCode).toBe(200);
    expect((await door.server.inject({ url: "/api/v1/samples/a", headers })).statusCode).toBe(200);
    while (held.release.length > 0) {
      held.release.shift()?.();
      await delay(1);
    }
    const answers = await Promise.all(accepted);
    expect(answers.map(({ statusCode }) => statusCode)).toEqual(Array<number>(72).fill(200));
    expect(held.running).toEqual(Array.from({ length: 72 }, (_, at) => at));
    // The places are free again.
    const again = send(74);
    await expect.poll(() => held.release.length, patience).toBe(1);
    held.release.shift()?.();
    expect((await again).statusCode).toBe(200);
  });

  test("give their place up when the caller goes away while waiting, and keep it while they run", async () => {
    const { door, headers } = await openDoor();
    const send = (at: number, signal?: AbortSignal) =>
      fetch(`${door.url}/api/v1/held`, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify({ at }),
        ...(signal === undefined ? {} : { signal }),
      });
    const first = Array.from({ length: 8 }, (_, at) => send(at));
    await expect.poll(() => held.running.length, patience).toBe(8);
    const leaving = new AbortController();
    const gone = Array.from({ length: 64 }, (_, at) => send(100 + at, leaving.signal));
    await expect
      .poll(async () => {
        const answer = await send(200, AbortSignal.timeout(1000)).catch(
          (thrown: Error) => thrown.name,
        );
        return answer instanceof Response ? answer.status : answer;
      }, patience)
      .toBe(503);
    leaving.abort();
    await Promise.allSettled(gone);
    const connections = () =>
      new Promise<number>((resolve) =>
        door.server.server.getConnections((_, count) => resolve(count)),
      );
    await expect.poll(connections, patience).toBeLessThan(20);
    const after = send(300);
    while (!held.running.includes(300)) {
      held.release.shift()?.();
      await delay(5);
    }
    for (const release of held.release.splice(0)) release();
    expect((await after).status).toBe(200);
    for (const each of await Promise.all(first)) expect(each.status).toBe(200);
    expect(held.running.filter((at) => at >= 100 && at < 200)).toEqual([]);
  });

  test("are those of operations that exist", () => {
    const names = operations.map(({ name }) => name);
    for (const name of boundedOperations) expect(names).toContain(name);
  });
});

describe("a late event loop", () => {
  test("with many requests waiting: most are refused quickly, what was accepted is answered, health lives", async () => {
    const { door, headers } = await openDoor({ busyRequests: 5, lateMs: 20 });
    const send = async () => {
      const answer = await fetch(`${door.url}/api/v1/block`, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: '{"ms":5}',
      });
      const body = (await answer.json()) as { code?: string };
      return { status: answer.status, code: body.code, again: answer.headers.get("retry-after") };
    };
    const answers: Awaited<ReturnType<typeof send>>[] = [];
    const health: number[] = [];
    for (let round = 0; round < 2; round += 1) {
      const asked = Array.from({ length: 100 }, send);
      // On other connections, behind what is refused. The second round finds all of them open: one turn reads them all.
      const watching = Array.from({ length: 20 }, async () => {
        const answer = await fetch(`${door.url}/health`);
        await answer.arrayBuffer();
        return answer.status;
      });
      answers.push(...(await Promise.all(asked)));
      health.push(...(await Promise.all(watching)));
    }
    const shed = answers.filter(({ status }) => status === 503);
    expect(answers.filter(({ status }) => status === 200).length).toBe(200 - shed.length);
    expect(shed.length).toBeGreaterThan(30);
    expect(shed.length).toBeLessThan(200);
    expect(new Set(shed.map(({ code, again }) => `${code} ${again}`))).toEqual(
      new Set(["overloaded 1"]),
    );
    expect(refused(door, "overloaded")).toBe(shed.length);
    expect(health).toEqual(Array<number>(40).fill(200));
    await expect.poll(async () => (await send()).status, patience).toBe(200);
  });

  test("is no reason to refuse the few requests that there are", async () => {
    const { door, headers } = await openDoor({ lateMs: 20 });
    const asked = fetch(`${door.url}/api/v1/samples/a`, { headers });
    block(300);
    expect((await asked).status).toBe(200);
    const send = () =>
      fetch(`${door.url}/api/v1/block`, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: '{"ms":15}',
      });
    // The second round comes on connections that are open, so that one turn reads many of them.
    for (let round = 0; round < 2; round += 1) {
      const slow = await Promise.all(Array.from({ length: 30 }, send));
      expect(new Set(slow.map(({ status }) => status))).toEqual(new Set([200]));
      for (const answer of slow) await answer.arrayBuffer();
    }
    expect(refused(door, "overloaded")).toBe(0);
  });
});

describe("large bodies", () => {
  test("get as much memory together as is set aside, and give it back", async () => {
    const { door } = await openDoor({ bulkBytes: 3 * 1024 * 1024 });
    const { authorization = "" } = await door.as("api_user");
    const begin = (bytes: number) => {
      const socket = connect(door.port, "127.0.0.1");
      socket.on("error", () => socket.destroy());
      socket.write(
        `POST /api/v1/samples/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: ${bytes}\r\n\r\n{`,
      );
      return socket;
    };
    const first = begin(2 * 1024 * 1024);
    await delay(50);
    const second = begin(2 * 1024 * 1024);
    expect(String(await once(second, "data"))).toMatch(/^HTTP\/1.1 503 [^]*"code":"overloaded"/);
    const small = await door.server.inject({
      method: "POST",
      url: "/api/v1/samples/upload",
      headers: await door.as("api_user"),
      payload: { content: "a" },
    });
    expect(small.statusCode).toBe(200);
    first.destroy();
    await expect
      .poll(async () => {
        const third = begin(2 * 1024 * 1024);
        const refusal = await Promise.race([
          once(third, "data").then(() => true),
          delay(50, false),
        ]);
        third.destroy();
        return refusal;
      }, patience)
      .toBe(false);
    second.destroy();
  });
});

describe("who does not take the answer", () => {
  const ask = (door: TestDoor, authorization = "") => {
    const socket = connect(door.port, "127.0.0.1");
    socket.on("error", () => socket.destroy());
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write(
      `GET /api/v1/large HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\n\r\n`,
    );
    return { socket, closed };
  };

  test("at all is cut", async () => {
    const { door, headers } = await openDoor({ stalledMs: 200 });
    const { socket, closed } = ask(door, headers["authorization"]);
    socket.pause();
    await expect.poll(() => refused(door, "slow_reader"), patience).toBe(1);
    socket.resume();
    await closed;
    expect(socket.bytesRead).toBeLessThan(32 * 1024 * 1024);
  });

  test("but in drops is cut when the time for the whole is over", async () => {
    const { door, headers } = await openDoor({ takingMs: 300 });
    const { socket, closed } = ask(door, headers["authorization"]);
    socket.pause();
    const drip = setInterval(() => socket.read(1024), 20);
    await expect.poll(() => refused(door, "slow_reader"), patience).toBe(1);
    clearInterval(drip);
    socket.resume();
    await closed;
    expect(socket.bytesRead).toBeLessThan(32 * 1024 * 1024);
  });

  test("but takes it steadily gets all of it", async () => {
    const { door, headers } = await openDoor({ stalledMs: 500 });
    const { socket } = ask(door, headers["authorization"]);
    let bytes = 0;
    for await (const piece of socket as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > 32 * 1024 * 1024) break;
    }
    expect(bytes).toBeGreaterThan(32 * 1024 * 1024);
    expect(refused(door, "slow_reader")).toBe(0);
  });
});
