import { readFileSync } from "node:fs";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { FileUnreadableError } from "#base/errors/index.ts";
import { currentContext, withContext } from "#base/telemetry/index.ts";
import { createWorkers } from "#base/workers/index.ts";
import { anybody, drivenJob, never, startJob } from "../fixtures/rooms/counting-job.ts";
import { freshFolder, openRooms, type Rooms } from "../fixtures/rooms/open-rooms.ts";
import { openRealDoor, type RealDoor } from "../http/open-real-door.ts";

type Line = Record<string, unknown>;

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function rooms(): Promise<Rooms> {
  const opened = await openRooms(freshFolder(onTestFinished));
  open.push(opened);
  return opened;
}

function linesIn(logs: string): Line[] {
  return readFileSync(join(logs, "candor.log"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

const entries = async ({ ledger }: Rooms) => ledger.list({ limit: 1000 });

describe("the course of work goes along", () => {
  it("with log lines and ledger entries, which take what their maker does not say", async () => {
    const opened = await rooms();
    await withContext({ requestId: "r-1", principal: "key_1" }, async () => {
      opened.logger.info({ requestId: "forged", jobId: "j-0" }, "inside");
      await opened.ledger.record(new FileUnreadableError("a"));
      await opened.ledger.record(new FileUnreadableError("b"), { correlationId: "r-2" });
    });
    opened.logger.info("outside");
    const lines = linesIn(opened.home.logs);
    expect(lines).toMatchObject([
      {
        message: "inside",
        requestId: "r-1",
        principal: "key_1",
        field_requestId: "forged",
        jobId: "j-0",
      },
      { message: "a", requestId: "r-1", principal: "key_1" },
      { message: "b", requestId: "r-2" },
      { message: "outside" },
    ]);
    expect(lines[3]).not.toHaveProperty("requestId");
    expect(
      (await entries(opened)).map(({ correlationId, principal }) => [correlationId, principal]),
    ).toEqual([
      ["r-1", "key_1"],
      ["r-2", "key_1"],
    ]);
  });

  it("with each of many writes that share one transaction", async () => {
    const opened = await rooms();
    const seen = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        withContext({ requestId: `r-${n}` }, () =>
          opened.database.write(async ({ tables }) => {
            await tables.selectFrom("runs").select("id").execute();
            opened.logger.info({ n }, "in a write");
            return currentContext().requestId;
          }),
        ),
      ),
    );
    expect(seen).toEqual(Array.from({ length: 50 }, (_, n) => `r-${n}`));
    expect(opened.database.statistics().groups).toBeLessThan(25);
    for (const { message, n, requestId } of linesIn(opened.home.logs))
      if (message === "in a write") expect(requestId).toBe(`r-${String(n)}`);
  });

  it("to the write that breaks the rules, not to the one that came first", async () => {
    const opened = await rooms();
    const told: unknown[] = [];
    const { push } = opened.faults;
    opened.faults.push = (...errors) => {
      told.push(currentContext().requestId);
      return push.apply(opened.faults, errors);
    };
    await Promise.all([
      withContext({ requestId: "innocent" }, () => opened.database.write(async () => 1)),
      withContext({ requestId: "guilty" }, () =>
        opened.database.write(() => new Promise((resolve) => setTimeout(resolve, 20))),
      ),
    ]);
    expect(told).toEqual(["guilty"]);
  });

  it("with a thread's fault to whoever called, not to whom the thread was started for", async () => {
    const told: unknown[] = [];
    const workers = createWorkers({
      onFault: ({ error }) => told.push([error.code, currentContext().requestId]),
    });
    open.push({ close: () => workers.dispose() });
    const task = new URL("../fixtures/workers/trouble-task.ts", import.meta.url);
    const pool = workers.pool({
      name: "trouble",
      task,
      size: 1,
      memoryMegabytes: 64,
      idleMs: 60_000,
      openData: {},
    });
    const run = (requestId: string, method: string, timeoutMs: number) =>
      withContext({ requestId }, () => pool.run(method, null, { timeoutMs }));
    await run("starter", "echo", 20_000);
    const [late] = await Promise.allSettled([run("guilty", "exit", 20_000)]);
    expect(late?.status).toBe("rejected");
    expect(told).toEqual([["worker_crashed", "guilty"]]);
  });
});

describe("a job", () => {
  it("runs in a course of its own that names the request which started it", async () => {
    const opened = await rooms();
    const { jobs, logger } = opened;
    const gate = Promise.withResolvers<void>();
    const blocker = drivenJob(() => gate.promise, "test.blocker");
    const told = drivenJob(async ({ input, fail }) => {
      logger.info({ input }, "working");
      await fail("thing", new FileUnreadableError("cannot"));
    }, "test.told");
    jobs.define(blocker);
    jobs.define(told);
    const start = (requestId: string, kind: string, owner: string) =>
      withContext({ requestId, principal: owner }, () =>
        startJob(opened, kind, requestId, { target: "same", owner }),
      );
    // The second job is started by the end of the first, in whose course it must not run.
    const first = await start("r-first", "test.blocker", "usr_1");
    const second = await start("r-second", "test.told", "usr_2");
    gate.resolve();
    await jobs.ended(first.id, never);
    await jobs.ended(second.id, never);
    const [line] = linesIn(opened.home.logs).filter(({ message }) => message === "working");
    expect(line).toMatchObject({ jobId: second.id, requestId: "r-second", principal: "usr_2" });
    for (const { jobId, correlationId, principal } of await entries(opened))
      expect([jobId, correlationId, principal]).toEqual([second.id, "r-second", "usr_2"]);
    // Resumed by another request: that one is named from then on.
    await withContext({ requestId: "r-third" }, () => jobs.resume(second.id, anybody, "failed"));
    await jobs.ended(second.id, never);
    const named = linesIn(opened.home.logs).filter(({ message }) => message === "working");
    expect(named.map(({ requestId }) => requestId)).toEqual(["r-second", "r-third"]);
  });
});

describe("over HTTP", () => {
  async function door(): Promise<RealDoor> {
    const opened = await openRealDoor();
    open.push(opened);
    return opened;
  }
  const traceId = "1".repeat(32);

  it("a request's lines and entries carry its id, its caller and its trace, with a body and without", async () => {
    const opened = await door();
    const headers = {
      ...(await opened.as("developer")),
      traceparent: `00-${traceId}-${"2".repeat(16)}-00`,
      "content-type": "application/json",
    };
    const ask = async (requestId: string, method: string, path: string, body?: unknown) => {
      const answer = await fetch(`${opened.url}/api/v1${path}`, {
        method,
        headers: { ...headers, "x-request-id": requestId },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      await answer.arrayBuffer();
      return answer.status;
    };
    const ids = Array.from({ length: 20 }, (_, n) => `r-${n}`);
    // A refused path is an incident that the operation itself records, after its body was read.
    await ask("r-made", "POST", "/collections", { name: "mine" });
    const refused = await Promise.all(
      ids.map((id) => ask(id, "POST", "/collections/mine/sync", { path: `/nowhere/${id}` })),
    );
    expect(new Set(refused)).toEqual(new Set([403]));
    await ask("r-nowhere", "GET", "/collections/mine/documents/none");
    await opened.app.ledger.end();
    const lines = linesIn(opened.app.home.logs);
    for (const id of [...ids, "r-nowhere"]) {
      const own = lines.filter(({ requestId }) => requestId === id);
      expect(own.length, id).toBeGreaterThan(0);
      for (const line of own) {
        expect(line["trace_id"]).toBe(traceId);
        expect(line["principal"]).toMatch(/^key_/);
      }
    }
    const told = (await opened.app.ledger.list({ limit: 1000 })).filter(
      ({ code }) => code === "path_refused",
    );
    expect(new Set(told.map(({ correlationId }) => correlationId))).toEqual(new Set(ids));
    expect(told).toHaveLength(ids.length);
    for (const { id, correlationId } of told) {
      const line = lines.find(({ ledgerId }) => ledgerId === id);
      expect(line?.["requestId"]).toBe(correlationId);
    }
  });

  it("the course goes on when the body comes late, in the course of the connection", async () => {
    const opened = await door();
    const headers = {
      ...(await opened.as("developer")),
      traceparent: `00-${traceId}-${"2".repeat(16)}-00`,
      "content-type": "application/json",
      "x-request-id": "r-late",
    };
    const create = { method: "POST", headers, body: JSON.stringify({ name: "late" }) };
    await (await fetch(`${opened.url}/api/v1/collections`, create)).arrayBuffer();
    const path = "/api/v1/collections/late/sync";
    const sent = request({ port: opened.port, host: "127.0.0.1", method: "POST", path, headers });
    sent.flushHeaders();
    await wait(100);
    sent.end(JSON.stringify({ path: "/nowhere" }));
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    answer.resume();
    await once(answer, "end");
    expect(answer.statusCode).toBe(403);
    const line = linesIn(opened.app.home.logs).find(({ code }) => code === "path_refused");
    expect(line).toMatchObject({ requestId: "r-late", trace_id: traceId });
  });

  it("every request has one line, also one that no route and no parser takes", async () => {
    const opened = await door();
    const headers = await opened.as("admin");
    for (const [id, path, method, body] of [
      ["r-route", "/api/v1/collections", "GET", undefined],
      ["r-none", "/nowhere", "GET", undefined],
      ["r-percent", "/api/v1/collections/%zz", "GET", undefined],
      ["r-json", "/api/v1/search", "POST", "{"],
      ["r-method", "/api/v1/collections", "PUT", undefined],
    ] as const)
      await fetch(`${opened.url}${path}`, {
        method,
        headers: { ...headers, "x-request-id": id, "content-type": "application/json" },
        ...(body === undefined ? {} : { body }),
      }).then((answer) => answer.arrayBuffer());
    await opened.server.close();
    const lines = linesIn(opened.app.home.logs).filter(({ message }) => message === "request");
    expect(lines.map(({ requestId, status, route }) => [requestId, status, route])).toEqual([
      ["r-route", 200, "/api/v1/collections"],
      ["r-none", 404, "unknown"],
      ["r-percent", 400, "unknown"],
      ["r-json", 400, "/api/v1/search"],
      ["r-method", 405, "unknown"],
    ]);
  });
});
