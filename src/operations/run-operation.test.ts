import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { localPrincipal } from "#base/access/index.ts";
import { ConflictError, OverloadedError, toCandorError } from "#base/errors/index.ts";
import { type OpenApp, openAppOver } from "../../test/fixtures/rooms/open-app-over.ts";
import { defineOperation, type Operation } from "./define-operation.ts";
import { problemOf, runOperation, streamOperation } from "./run-operation.ts";
import { keyPrincipal } from "../../test/fixtures/rooms/principals.ts";

let app: OpenApp;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "candor-test-"));
  app = await openAppOver(folder);
});
afterAll(async () => {
  await app.close();
  rmSync(folder, { recursive: true });
});

const reader = keyPrincipal("reader", "read_only");

/** An operation whose work the test writes. */
function operation(run: Operation["run"], change: Partial<Operation> = {}): Operation {
  return defineOperation({
    name: "test.run",
    summary: "A test",
    input: z.strictObject({ n: z.int().default(1) }),
    output: z.object({ n: z.int() }),
    effect: "write",
    permission: { role: "read_only" },
    http: null,
    cli: null,
    run,
    ...change,
  }) as Operation;
}

const caller = { principal: localPrincipal };
const raised = async (work: Promise<unknown>) =>
  toCandorError(
    await work.then(
      () => new Error("it succeeded"),
      (thrown: unknown) => thrown,
    ),
  );
const entryOf = async (thrown: unknown) => {
  const { instance } = problemOf(thrown, null);
  return instance === null ? null : app.ledger.get(instance.replace("urn:candor:", ""));
};

describe("runOperation", () => {
  it("gives the checked output with notices, the request's id and the time it took", async () => {
    const answer = await runOperation(
      app,
      operation(async ({ input, notice, requestId }) => {
        notice({ code: "still_indexing", message: requestId });
        return { ...(input as object), more: "is left out" };
      }),
      {},
      { ...caller, requestId: "r1" },
    );
    expect(answer).toEqual({
      output: { n: 1 },
      notices: [{ code: "still_indexing", message: "r1" }],
      requestId: "r1",
      tookMs: expect.any(Number),
    });
    const own = await runOperation(
      app,
      operation(async () => ({ n: 1 })),
      {},
      caller,
    );
    expect(own.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("admits before it looks at the input, and refuses unknown fields before anything runs", async () => {
    let ran = false;
    const made = operation(
      async () => {
        ran = true;
        return { n: 1 };
      },
      { permission: { role: "admin" } },
    );
    expect(await raised(runOperation(app, made, { x: 1 }, { principal: null }))).toMatchObject({
      code: "authentication_required",
    });
    expect(await raised(runOperation(app, made, { x: 1 }, { principal: reader }))).toMatchObject({
      code: "permission_denied",
    });
    const refused = await raised(runOperation(app, made, { x: 1 }, caller));
    expect(refused).toMatchObject({ code: "input_invalid", errors: [{ pointer: "/x" }] });
    expect(await entryOf(refused)).toBeNull();
    expect(ran).toBe(false);
  });

  it("makes a defect of an answer that the schema refuses, and of whatever else is thrown; the problem names the entry", async () => {
    const works: Operation["run"][] = [
      async () => ({ n: "seven" }),
      async () => Promise.reject(new TypeError("secretly broken")),
      async () => Promise.reject(null),
    ];
    for (const run of works) {
      const thrown = await raised(
        runOperation(
          app,
          operation(run),
          {},
          {
            ...caller,
            requestId: "r2",
            method: "POST",
            endpoint: "/api/v1/test",
          },
        ),
      );
      const problem = problemOf(thrown, "r2");
      expect(problem).toMatchObject({ status: 500, code: "defect", requestId: "r2" });
      expect(problem.instance).toMatch(/^urn:candor:led_/);
      expect(problem.detail).not.toContain("secretly");
      expect(await entryOf(thrown)).toMatchObject({
        operation: "test.run",
        correlationId: "r2",
        principal: "local",
        method: "POST",
        endpoint: "/api/v1/test",
        unexpected: true,
      });
    }
  });

  it("keeps every answer of 500 and above and every refusal of a right in the ledger, ordinary refusals not", async () => {
    const kept = async (error: Error) =>
      (
        await entryOf(
          await raised(
            runOperation(
              app,
              operation(async () => Promise.reject(error)),
              {},
              caller,
            ),
          ),
        )
      )?.code;
    expect(await kept(new OverloadedError("no"))).toBe("overloaded");
    expect(await kept(new ConflictError("no"))).toBeUndefined();
    const denied = await raised(
      runOperation(
        app,
        operation(async () => ({ n: 1 }), { permission: { role: "admin" } }),
        {},
        { principal: reader },
      ),
    );
    expect(await entryOf(denied)).toMatchObject({
      code: "permission_denied",
      principal: "key_reader",
    });
  });

  it("looks the same for a collection that is missing and one that is not granted, but the ledger knows", async () => {
    const collection = await app.search.collections.create(localPrincipal, { name: "hidden" });
    const made = operation(async () => ({ n: 1 }), {
      input: z.strictObject({ collection: z.string() }),
      permission: { role: "read_only", grant: { on: "collections", right: "read" } },
    });
    const ask = async (named: string) =>
      problemOf(
        await raised(runOperation(app, made, { collection: named }, { principal: reader })),
        "r",
      );
    const hidden = await ask("hidden");
    const missing = await ask("hiddex");
    expect({ ...hidden, detail: hidden.detail.replace("hidden", "hiddex") }).toEqual(missing);
    expect(hidden).toMatchObject({ status: 404, instance: null });
    expect((await ask(collection.id)).status).toBe(404);
    // The entries are not waited for; a write behind them is.
    await app.database.write(async () => undefined);
    const refused = await app.ledger.list({ limit: 100, code: "permission_denied" });
    expect(refused.filter(({ message }) => message.includes(collection.id))).toHaveLength(2);
    expect((await runOperation(app, made, { collection: "hidden" }, caller)).output).toEqual({
      n: 1,
    });
  });

  it("counts its runs in seconds by outcome", async () => {
    await runOperation(
      app,
      operation(async () => ({ n: 1 }), { name: "test.counted" }),
      {},
      caller,
    );
    const { counters } = app.metrics.snapshot();
    const counted = counters.filter(({ labels }) => labels["operation"] === "test.counted");
    expect(counted).toContainEqual({
      name: "candor_operations_total",
      labels: { operation: "test.counted", outcome: "ok" },
      value: 1,
    });
    const seconds =
      counted.find(({ name }) => name === "candor_operation_seconds_sum")?.value ?? -1;
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(1);
  });
});

describe("streamOperation", () => {
  const events = (values: unknown[], ended: () => void = () => {}) =>
    operation(
      async function* () {
        try {
          let sequence = 0;
          for (const value of values) {
            sequence += 1;
            if (value instanceof Error) throw value;
            yield { event: "e", sequence, data: value };
          }
        } finally {
          ended();
        }
      },
      { effect: "read" },
    );
  const collect = async (made: Operation) => {
    const seen: unknown[] = [];
    for await (const { data } of streamOperation(app, made, {}, caller)) seen.push(data);
    return seen;
  };

  it("checks every event", async () => {
    expect(await collect(events([{ n: 1 }, { n: 2, x: 1 }]))).toEqual([{ n: 1 }, { n: 2 }]);
    expect(await collect(events([]))).toEqual([]);
    for (const values of [[{ n: "x" }], [{ n: 1 }, { n: "x" }]]) {
      const thrown = await raised(collect(events(values)));
      expect(await entryOf(thrown)).toMatchObject({ code: "defect", operation: "test.run" });
    }
  });

  it("raises a refusal before the first event, and keeps a later failure in the ledger", async () => {
    const refused = streamOperation(app, events([{ n: 1 }]), { x: 1 }, caller).next();
    expect(await raised(refused)).toMatchObject({ code: "input_invalid" });
    const thrown = await raised(collect(events([{ n: 1 }, new TypeError("broken")])));
    expect(await entryOf(thrown)).toMatchObject({ code: "defect", unexpected: true });
    expect(await raised(collect(operation(async () => ({ n: 1 }))))).toMatchObject({
      code: "defect",
    });
  });

  it("ends the operation when nobody listens any more, after the first event too", async () => {
    let ended = 0;
    for (const listened of [1, 2]) {
      let seen = 0;
      for await (const _ of streamOperation(
        app,
        events([{ n: 1 }, { n: 2 }, { n: 3 }], () => (ended += 1)),
        {},
        caller,
      )) {
        seen += 1;
        if (seen === listened) break;
      }
      expect(ended).toBe(listened);
    }
  });
});
