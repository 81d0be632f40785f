import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  CancelledError,
  type CandorError,
  DefectError,
  FileMissingError,
  OutOfMemoryError,
  OverloadedError,
  WorkerCrashedError,
  WorkerTimeoutError,
} from "#base/errors/index.ts";
import { createWorkers, type PoolOptions } from "./index.ts";

const task = new URL("../../../test/fixtures/workers/trouble-task.ts", import.meta.url);
const limit = { timeoutMs: 20_000 };
const poolOptions: PoolOptions = {
  name: "trouble",
  task,
  size: 1,
  memoryMegabytes: 64,
  idleMs: 60_000,
  openData: {},
};
const open: { dispose(): Promise<void> }[] = [];

function setUp(options: Partial<PoolOptions> = {}) {
  const faults: { pool: string; error: CandorError }[] = [];
  const workers = createWorkers({ onFault: (fault) => faults.push(fault) });
  open.push(workers);
  const pool = workers.pool({ ...poolOptions, ...options });
  return { workers, pool, faults };
}

async function failureOf(work: Promise<unknown>): Promise<CandorError> {
  const outcome = await work.then(
    (value) => ({ value }),
    (error: CandorError) => ({ error }),
  );
  if ("error" in outcome) return outcome.error;
  throw new Error(`expected a failure, got ${JSON.stringify(outcome.value)}`);
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((workers) => workers.dispose()));
});

describe("calls", () => {
  test("no thread starts before the first call, and one thread is used again", async () => {
    const { pool } = setUp({ size: 3 });
    expect(pool.status()).toMatchObject({ threads: 0, busy: 0, queued: 0, restarts: 0 });
    expect(await pool.run("echo", { a: [1, "ü", null] }, limit)).toEqual({ a: [1, "ü", null] });
    expect(await pool.run("countCalls", null, limit)).toBe(1);
    expect(await pool.run("countCalls", null, limit)).toBe(2);
    expect(pool.status()).toMatchObject({ threads: 1, busy: 0, lastFault: null });
  });

  test("threads up to the size work at once, the rest waits in order", async () => {
    const { pool } = setUp({ size: 2 });
    const done: number[] = [];
    const calls = [0, 1, 2, 3, 4].map(async (number) => {
      await pool.run("echo", number, limit);
      done.push(number);
    });
    expect(pool.status()).toMatchObject({ threads: 2, busy: 2, queued: 3 });
    await Promise.all(calls);
    expect(new Set(done)).toEqual(new Set([0, 1, 2, 3, 4]));
  });

  test("buffers move both ways", async () => {
    const { pool } = setUp();
    const answer = await pool.run<{ values: Float32Array }>("fill", { length: 1000 }, limit);
    expect(answer.values).toHaveLength(1000);
    expect(answer.values[999]).toBe(0.5);
    const bytes = new Uint8Array([1, 2, 3]);
    await pool.run("echo", bytes, { ...limit, transfer: [bytes.buffer] });
    expect(bytes.byteLength).toBe(0);
  });

  test("a thread sees no environment", async () => {
    const { pool } = setUp();
    expect(await pool.run("environment", null, limit)).toEqual([]);
  });

  test("a queue that is full refuses at once", async () => {
    const { pool } = setUp({ queueLimit: 2 });
    const accepted = [0, 1, 2].map((number) => pool.run("echo", number, limit));
    const error = await failureOf(pool.run("echo", 3, limit));
    expect(error).toBeInstanceOf(OverloadedError);
    expect(error.retryAfterMs).toBeGreaterThan(0);
    expect(await Promise.all(accepted)).toEqual([0, 1, 2]);
  });

  test("an idle thread ends and the next call starts another", async () => {
    const { pool } = setUp({ idleMs: 5 });
    expect(await pool.run("countCalls", null, limit)).toBe(1);
    await vi.waitFor(() => expect(pool.status().threads).toBe(0), 10_000);
    expect(await pool.run("countCalls", null, limit)).toBe(1);
    expect(pool.status()).toMatchObject({ restarts: 0, lastFault: null });
  });
});

describe("errors of the task", () => {
  test("a catalogue error arrives as its class with all its fields", async () => {
    const { pool, faults } = setUp();
    const error = await failureOf(pool.run("rejectCatalogued", null, limit));
    expect(error).toBeInstanceOf(FileMissingError);
    expect(error).toMatchObject({
      message: "no such file: a.txt",
      details: { path: "a.txt" },
      errors: [{ pointer: "/path", message: "missing" }],
      retryAfterMs: 5,
    });
    expect((error.cause as Error).stack).toContain("trouble-task.ts");
    expect(faults).toEqual([]);
    expect(pool.status()).toMatchObject({ threads: 1, lastFault: null });
  });

  test.each([
    ["rejectUnknown", "TypeError: cannot read x"],
    ["rejectText", "thrown string: just a text"],
    ["answerFunction", "DataCloneError"],
    ["noSuchMethod", 'no method "noSuchMethod"'],
    ["toString", 'no method "toString"'],
  ])("%s becomes a defect that describes it", async (method, description) => {
    const { pool } = setUp();
    const error = await failureOf(pool.run(method, null, limit));
    expect(error).toBeInstanceOf(DefectError);
    expect(error.message).toContain(description);
    expect(await pool.run("echo", 1, limit)).toBe(1);
  });

  test("a payload that cannot be sent fails alone", async () => {
    const { pool } = setUp();
    expect(await pool.run("echo", 1, limit)).toBe(1);
    const error = await failureOf(pool.run("echo", () => 1, limit));
    expect(error).toBeInstanceOf(DefectError);
    expect(await pool.run("countCalls", null, limit)).toBe(1);
  });

  test("a time limit that no timer can hold is a defect", async () => {
    const { pool } = setUp();
    for (const timeoutMs of [0, -1, Number.NaN, 2 ** 31])
      expect(await failureOf(pool.run("echo", 1, { timeoutMs }))).toBeInstanceOf(DefectError);
  });
});

describe("faults of a thread", () => {
  test.each(["exit", "throwLater"])("%s fails its call only", async (method) => {
    const { pool, faults } = setUp();
    const crash = failureOf(pool.run(method, null, limit));
    const waiting = pool.run("echo", "after", limit);
    const error = await crash;
    expect(error).toBeInstanceOf(WorkerCrashedError);
    expect(error.message).toContain(method === "exit" ? "exit code 3" : "thrown by a timer");
    expect(await waiting).toBe("after");
    expect(faults).toEqual([{ pool: "trouble", error }]);
    expect(pool.status()).toMatchObject({
      restarts: 1,
      lastFault: { code: "worker_crashed", message: error.message },
    });
  });

  test("the time limit stops an endless loop and harms nobody else", async () => {
    const { pool, faults } = setUp({ size: 2 });
    await Promise.all([pool.run("echo", 1, limit), pool.run("echo", 2, limit)]);
    const endless = failureOf(pool.run("spin", { ms: 600_000 }, { timeoutMs: 50 }));
    const other = pool.run("spin", { ms: 200 }, limit);
    expect(await endless).toBeInstanceOf(WorkerTimeoutError);
    expect(await other).toBe("done");
    expect(await pool.run("echo", 3, limit)).toBe(3);
    expect(faults.map((fault) => fault.error.code)).toEqual(["worker_timeout"]);
  });

  test.each(["eatStrings", "eatOneArray", "eatBuffers"])(
    "the memory limit ends the thread of %s, not the process",
    async (method) => {
      const { pool, faults } = setUp({ memoryMegabytes: 48 });
      const error = await failureOf(pool.run(method, null, limit));
      expect(error).toBeInstanceOf(OutOfMemoryError);
      expect(error.details).toMatchObject({ limitMegabytes: 48 });
      expect(error.details?.["bytesInUse"]).toBeGreaterThan(48 * 2 ** 20);
      expect(await pool.run("echo", 1, limit)).toBe(1);
      expect(faults.map((fault) => fault.error)).toEqual([error]);
    },
  );
});

describe("cancelling", () => {
  test("a running call is stopped and its thread replaced", async () => {
    const { pool, faults } = setUp();
    await pool.run("echo", 1, limit);
    const controller = new AbortController();
    const running = failureOf(
      pool.run("spin", { ms: 600_000 }, { ...limit, signal: controller.signal }),
    );
    const waiting = pool.run("echo", 2, limit);
    controller.abort();
    expect(await running).toBeInstanceOf(CancelledError);
    expect(await waiting).toBe(2);
    expect(faults).toEqual([]);
  });

  test("a waiting call leaves the queue", async () => {
    const { pool } = setUp();
    const first = pool.run("echo", 1, limit);
    const controller = new AbortController();
    const second = failureOf(pool.run("countCalls", null, { ...limit, signal: controller.signal }));
    controller.abort(new Error("nobody waits"));
    expect(await second).toBeInstanceOf(CancelledError);
    expect(pool.status().queued).toBe(0);
    expect(await first).toBe(1);
    expect(await pool.run("countCalls", null, limit)).toBe(1);
  });

  test("a signal that is aborted already starts nothing", async () => {
    const { pool } = setUp();
    const signal = AbortSignal.abort();
    expect(await failureOf(pool.run("echo", 1, { ...limit, signal }))).toBeInstanceOf(
      CancelledError,
    );
    expect(pool.status().threads).toBe(0);
  });
});

describe("opening", () => {
  test("a task that cannot open gives its own error, and works as soon as it can, without a restart", async () => {
    const folder = mkdtempSync(join(tmpdir(), "candor-workers-"));
    const neededFile = join(folder, "model");
    const { pool, faults } = setUp({ openData: { neededFile } });
    const failures = await Promise.all([1, 2, 3].map((n) => failureOf(pool.run("echo", n, limit))));
    for (const error of failures) expect(error).toBeInstanceOf(FileMissingError);
    expect(pool.status()).toMatchObject({ threads: 0, lastFault: { code: "file_missing" } });
    expect(faults).toEqual([]);
    writeFileSync(neededFile, "");
    expect(await pool.run("echo", 4, limit)).toBe(4);
    expect(pool.status().lastAnswerAt).not.toBeNull();
    rmSync(folder, { recursive: true });
  });

  test("a task that hangs or dies while opening fails its calls", async () => {
    const hanging = setUp({ openData: { open: "hang" }, openTimeoutMs: 300 });
    expect(await failureOf(hanging.pool.run("echo", 1, limit))).toBeInstanceOf(WorkerTimeoutError);
    const dying = setUp({ openData: { open: "crash" } });
    const error = await failureOf(dying.pool.run("echo", 1, limit));
    expect(error).toBeInstanceOf(WorkerCrashedError);
    expect(error.message).toContain("exit code 9");
    const missing = setUp({ task: new URL("./no-such-task.ts", import.meta.url) });
    expect(await failureOf(missing.pool.run("echo", 1, limit))).toBeInstanceOf(WorkerCrashedError);
  });
});

describe("dispose", () => {
  test("ends work and queue, may be called twice, and refuses what comes later", async () => {
    const { workers, pool } = setUp();
    const running = failureOf(pool.run("spin", { ms: 600_000 }, limit));
    const waiting = failureOf(pool.run("echo", 1, limit));
    await Promise.all([workers.dispose(), workers.dispose()]);
    await pool.dispose();
    expect(await running).toBeInstanceOf(CancelledError);
    expect(await waiting).toBeInstanceOf(CancelledError);
    expect(await failureOf(pool.run("echo", 2, limit))).toBeInstanceOf(CancelledError);
    expect(pool.status()).toMatchObject({ threads: 0, busy: 0, queued: 0 });
    expect(() => workers.pool({ ...poolOptions, name: "late" })).toThrow(DefectError);
  });

  test("a name is free again after its pool is gone", async () => {
    const { workers, pool } = setUp();
    expect(() => workers.pool(poolOptions)).toThrow(DefectError);
    await pool.dispose();
    expect(workers.status()).toEqual([]);
    expect(await workers.pool(poolOptions).run("echo", 1, limit)).toBe(1);
  });
});
