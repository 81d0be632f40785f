import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { localPrincipal, type Principal } from "#base/access/index.ts";
import { idempotencyKeptMs } from "#base/database/index.ts";
import { toCandorError } from "#base/errors/index.ts";
import { type OpenApp, openAppOver } from "../../test/fixtures/rooms/open-app-over.ts";
import { defineOperation, type App, type Operation } from "./define-operation.ts";
import { operations } from "./index.ts";
import { runOperation } from "./run-operation.ts";
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
afterEach(() => vi.useRealTimers());

const insert = async ({ database }: App, name: string) =>
  database.write(async ({ tables, answer }) => {
    await tables
      .insertInto("grants")
      .values({
        principal_id: name,
        collection_id: crypto.randomUUID(),
        level: "read",
        created_at: 1,
      })
      .execute();
    return answer({ name });
  });
const effects = async (name: string) =>
  (
    await app.database.read
      .selectFrom("grants")
      .select("level")
      .where("principal_id", "=", name)
      .execute()
  ).length;

/** Adds a row for `name`; `run` may do it otherwise. */
function addRow(run?: (app: App, name: string) => Promise<unknown>): Operation {
  return defineOperation({
    name: "test.add",
    summary: "A test",
    input: z.strictObject({ name: z.string() }),
    output: z.object({ name: z.string() }),
    effect: "write",
    permission: { role: "read_only" },
    http: null,
    cli: null,
    run: async (call) => (run ?? insert)(call.app, call.input.name) as Promise<{ name: string }>,
  }) as Operation;
}

const ask = (made: Operation, name: string, key: string, principal: Principal = localPrincipal) =>
  runOperation(app, made, { name }, { principal, idempotencyKey: key });
const raised = async (work: Promise<unknown>) =>
  toCandorError(
    await work.then(
      () => new Error("it succeeded"),
      (thrown: unknown) => thrown,
    ),
  );

describe("an Idempotency-Key", () => {
  it("has one effect and the same answer however often it is sent", async () => {
    const made = addRow();
    const first = await ask(made, "same", "k1");
    const again = await ask(made, "same", "k1");
    expect(again.output).toEqual(first.output);
    expect(await effects("same")).toBe(1);
    await ask(made, "same", "k2");
    expect(await effects("same")).toBe(2);
  });

  it("belongs to one caller and one operation", async () => {
    const made = addRow();
    await ask(made, "mine", "k3");
    const other = keyPrincipal("other", "read_only");
    await ask(made, "mine", "k3", other);
    await ask({ ...made, name: "test.addOther" }, "mine", "k3");
    expect(await effects("mine")).toBe(3);
  });

  it("of another request is refused", async () => {
    await ask(addRow(), "first", "k4");
    expect(await raised(ask(addRow(), "second", "k4"))).toMatchObject({
      code: "idempotency_mismatch",
      status: 422,
    });
    expect(await effects("second")).toBe(0);
  });

  it("of a request that still runs answers 409, and works afterwards", async () => {
    const gate = Promise.withResolvers<void>();
    const made = addRow(async (rooms, name) => {
      await gate.promise;
      return insert(rooms, name);
    });
    const first = ask(made, "slow", "k5");
    expect(await raised(ask(made, "slow", "k5"))).toMatchObject({
      code: "idempotency_in_flight",
      status: 409,
      retryable: true,
    });
    gate.resolve();
    expect((await ask(made, "slow", "k5").catch(() => first)).output).toEqual((await first).output);
    expect((await ask(made, "slow", "k5")).output).toEqual({ name: "slow" });
    expect(await effects("slow")).toBe(1);
  });

  it("is spent in the transaction of the effect: an effect that is undone may be tried again", async () => {
    let fails = true;
    const made = addRow(async ({ database }, name) =>
      database.write(async ({ tables, answer }) => {
        await tables
          .insertInto("grants")
          .values({
            principal_id: name,
            collection_id: crypto.randomUUID(),
            level: "read",
            created_at: 1,
          })
          .execute();
        const kept = await answer({ name });
        if (fails) throw new RangeError("after the answer was kept");
        return kept;
      }),
    );
    expect(await raised(ask(made, "undone", "k6"))).toMatchObject({ code: "defect" });
    expect(await effects("undone")).toBe(0);
    fails = false;
    expect((await ask(made, "undone", "k6")).output).toEqual({ name: "undone" });
    expect((await ask(made, "undone", "k6")).output).toEqual({ name: "undone" });
    expect(await effects("undone")).toBe(1);
  });

  it("whose effect was undone and repeated within one request is spent with the effect that stayed", async () => {
    const made = addRow(async (rooms, name) => {
      await rooms.database
        .write(async ({ answer }) => {
          await answer({ name });
          throw new RangeError("a first try that is undone");
        })
        .catch((thrown: unknown) => {
          if (!(thrown instanceof RangeError)) throw thrown;
        });
      return insert(rooms, name);
    });
    await ask(made, "twice", "k7");
    const stored = await app.database.read
      .selectFrom("idempotency")
      .select("answer")
      .where("key", "=", "k7")
      .execute();
    expect(stored).toEqual([{ answer: '{"name":"twice"}' }]);
    await ask(made, "twice", "k7");
    expect(await effects("twice")).toBe(1);
  });

  it("keeps the answer of an effect that keeps none of its own", async () => {
    let ran = 0;
    const made = addRow(async (_, name) => {
      ran += 1;
      return { name };
    });
    await ask(made, "plain", "k8");
    expect((await ask(made, "plain", "k8")).output).toEqual({ name: "plain" });
    expect(ran).toBe(1);
  });

  it("keeps of the input what tells nobody a password in it", async () => {
    await ask(addRow(), "guessable", "k12");
    const stored = await app.database.read
      .selectFrom("idempotency")
      .select("input_hash")
      .where("key", "=", "k12")
      .executeTakeFirstOrThrow();
    const plain = createHash("sha256").update('{"name":"guessable"}').digest("hex");
    expect(stored.input_hash).toMatch(/^[0-9a-f]{64}$/);
    expect(stored.input_hash).not.toBe(plain);
  });

  it("is forgotten after a day, with its row", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const made = addRow();
    await ask(made, "old", "k9");
    vi.setSystemTime(Date.now() + idempotencyKeptMs - 1);
    await ask(made, "old", "k9");
    expect(await effects("old")).toBe(1);
    vi.setSystemTime(Date.now() + 1);
    await ask(made, "old", "k9");
    await ask(made, "old", "k9");
    expect(await effects("old")).toBe(2);
    const rows = await app.database.read
      .selectFrom("idempotency")
      .select("key")
      .where("key", "=", "k9")
      .execute();
    expect(rows).toHaveLength(1);
  });

  it("that is none is refused, and one on a read means nothing", async () => {
    for (const key of ["", "a b", "ü", "x".repeat(201)])
      expect(await raised(ask(addRow(), "bad", key))).toMatchObject({ code: "input_invalid" });
    expect(await effects("bad")).toBe(0);
    const read = { ...addRow(), effect: "read" as const };
    await ask(read, "read", "k10");
    await ask(read, "read", "k10");
    expect(await effects("read")).toBe(2);
  });

  it("replays a created key without its secret, which is stored nowhere", async () => {
    const create = operations.find(({ name }) => name === "keys.create");
    if (!create) throw new Error("keys.create is not in the table");
    const send = () =>
      runOperation(
        app,
        create,
        { name: "ci" },
        { principal: localPrincipal, idempotencyKey: "k11" },
      );
    const first = await send();
    const again = await send();
    const { key } = first.output as { key: string };
    expect(key).toMatch(/^candor_/);
    expect(again.output).toEqual({ ...(first.output as object), key: null });
    expect(first.notices).toEqual([]);
    expect(again.notices).toMatchObject([{ code: "key_shown_once" }]);
    const rows = JSON.stringify(
      await app.database.read.selectFrom("idempotency").selectAll().execute(),
    );
    expect(rows).not.toContain(key);
  });
});
