import { describe, expect, it, onTestFinished } from "vitest";
import { FileUnreadableError } from "#base/errors/index.ts";
import { freshFolder, openRooms, type Rooms } from "../../../test/fixtures/rooms/open-rooms.ts";
import {
  anybody,
  countingJob,
  drivenJob,
  effects,
  never,
  nothing,
  startJob,
} from "../../../test/fixtures/rooms/counting-job.ts";
import type { JobEvent } from "./follow-job.ts";
import type { Job } from "./index.ts";

async function open(): Promise<Rooms> {
  const rooms = await openRooms(freshFolder(onTestFinished));
  onTestFinished(() => rooms.close());
  return rooms;
}

describe("a job", () => {
  it("is queued in its creator's transaction, and is not there when that is undone", async () => {
    const rooms = await open();
    rooms.jobs.define(countingJob);
    const undone = rooms.database.write(async (handle) => {
      await rooms.jobs.enqueue(handle, "test.count", {
        owner: "local",
        target: { type: "test", id: "t" },
        input: { items: 3 },
      });
      throw new RangeError("undo");
    });
    await expect(undone).rejects.toThrow("undo");
    rooms.jobs.dispatch();
    expect(await rooms.jobs.list({ limit: 10 }, anybody)).toEqual([]);
    const job = await startJob(rooms, "test.count", { items: 3 });
    await rooms.jobs.ended(job.id, never);
    expect(await effects(rooms)).toHaveLength(3);
    expect(rooms.jobs.counts()).toEqual({ queued: 0, running: 0 });
  });

  it("counts what its items say, and ends succeeded, partial or failed by them", async () => {
    const rooms = await open();
    rooms.jobs.define(countingJob);
    const cases = [
      { failing: [], state: "succeeded", done: 6, failed: 0 },
      { failing: [1, 4], state: "partial", done: 4, failed: 2 },
      { failing: [0, 1, 2, 3, 4, 5], state: "failed", done: 0, failed: 6 },
    ];
    for (const { failing, state, done, failed } of cases) {
      const { id } = await startJob(rooms, "test.count", { items: 6, failing });
      const job = await rooms.jobs.ended(id, never);
      expect(job).toMatchObject({
        state,
        done,
        failed,
        skipped: 0,
        total: 6,
        phase: "counting",
        unit: "rows",
        attempt: 1,
      });
      const items = await rooms.jobs.items(id, { limit: 100 }, anybody);
      expect(items.filter(({ outcome }) => outcome === "done")).toHaveLength(done);
      const bad = items.filter(({ outcome }) => outcome === "failed");
      expect(bad).toHaveLength(failed);
      for (const { item, reason, ledgerId } of bad) {
        expect(reason).toContain(`${item} does not count`);
        expect(await rooms.ledger.get(ledgerId ?? "")).toMatchObject({
          jobId: id,
          item,
          operation: "test.count",
          unexpected: true,
        });
      }
      expect(job.error?.code ?? null).toBe(state === "failed" ? "job_below_threshold" : null);
      expect(job.result).toEqual({ counted: 6 });
      expect(await rooms.jobs.get(id, anybody)).toEqual(job);
    }
  });

  it("that throws is failed, keeps its finished items, and its error names a ledger entry", async () => {
    const rooms = await open();
    rooms.jobs.define(
      drivenJob(async ({ finish }) => {
        await finish("a", { outcome: "done" }, nothing);
        throw new FileUnreadableError("the folder is gone");
      }),
    );
    const { id } = await startJob(rooms, "test.driven", {});
    const job = await rooms.jobs.ended(id, never);
    expect(job).toMatchObject({
      state: "failed",
      done: 1,
      resumable: true,
      error: { code: "file_unreadable", detail: "the folder is gone" },
    });
    const ledgerId = job.error?.instance?.replace("urn:candor:", "") ?? "";
    expect(await rooms.ledger.get(ledgerId)).toMatchObject({ jobId: id });
  });

  it("shares the transaction of an effect with its item: neither is there without the other", async () => {
    const rooms = await open();
    rooms.jobs.define(
      drivenJob(async ({ finish, fail }) => {
        const broken = finish("a", { outcome: "done" }, async ({ tables }) => {
          await tables
            .insertInto("sessions")
            .values({ hash: "a", principal_id: "x", created_at: 1, expires_at: 1 })
            .execute();
          throw new RangeError("in the middle");
        });
        await broken.catch((thrown: unknown) => fail("a", thrown));
      }),
    );
    const { id } = await startJob(rooms, "test.driven", {});
    expect(await rooms.jobs.ended(id, never)).toMatchObject({ done: 0, failed: 1 });
    expect(await effects(rooms)).toEqual([]);
  });

  it("counts an item once however often it is finished", async () => {
    const rooms = await open();
    rooms.jobs.define(
      drivenJob(async ({ finish, fail }) => {
        await fail("a", new Error("first"));
        await finish("a", { outcome: "skipped", reason: "empty" }, nothing);
        await finish("a", { outcome: "done" }, nothing);
      }),
    );
    const { id } = await startJob(rooms, "test.driven", {});
    expect(await rooms.jobs.ended(id, never)).toMatchObject({ done: 1, failed: 0, skipped: 0 });
    expect(await rooms.jobs.items(id, { limit: 5 }, anybody)).toHaveLength(1);
  });

  it("is seen by its owner and those who may see all, and is not there for others", async () => {
    const rooms = await open();
    rooms.jobs.define(countingJob);
    const { id } = await startJob(rooms, "test.count", { items: 1 }, { owner: "key_anna" });
    await rooms.jobs.ended(id, never);
    const bert = { owner: "key_bert" };
    expect((await rooms.jobs.get(id, { owner: "key_anna" })).id).toBe(id);
    expect(await rooms.jobs.list({ limit: 5 }, bert)).toEqual([]);
    for (const attempt of [
      rooms.jobs.get(id, bert),
      rooms.jobs.items(id, { limit: 5 }, bert),
      rooms.jobs.cancel(id, bert),
      rooms.jobs.resume(id, bert, "all"),
      rooms.jobs.follow(id, bert, never).next(),
    ])
      await expect(attempt).rejects.toMatchObject({
        code: "not_found",
        message: `There is no job "${id}".`,
      });
  });
});

describe("running", () => {
  it("is one job at a time per target, and as many targets as there is room", async () => {
    const rooms = await open();
    let active: string[] = [];
    const most = { together: 0, sameTarget: 0 };
    const gate = Promise.withResolvers<void>();
    rooms.jobs.define(
      drivenJob(async ({ input }) => {
        const { target } = input as { target: string };
        active.push(target);
        most.together = Math.max(most.together, active.length);
        most.sameTarget = Math.max(
          most.sameTarget,
          active.filter((other) => other === target).length,
        );
        await gate.promise;
        active = active.filter((other) => other !== target);
      }),
    );
    const made: Job[] = [];
    for (const target of ["a", "a", "b", "c", "a"])
      made.push(await startJob(rooms, "test.driven", { target }, { target }));
    expect(rooms.jobs.counts()).toEqual({ queued: 3, running: 2 });
    expect((await rooms.jobs.activeOn("a")).map(({ id }) => id)).toEqual([
      made[0]?.id,
      made[1]?.id,
      made[4]?.id,
    ]);
    gate.resolve();
    for (const { id } of made) expect((await rooms.jobs.ended(id, never)).state).toBe("succeeded");
    expect(most).toEqual({ together: 2, sameTarget: 1 });
    const order = (await rooms.jobs.list({ limit: 9 }, anybody)).map(({ id }) => id);
    expect(order).toEqual(made.map(({ id }) => id).reverse());
    expect(
      await rooms.jobs.list({ limit: 9, target: "a", before: made[4]?.id }, anybody),
    ).toHaveLength(2);
    expect(await rooms.jobs.list({ limit: 9, state: "failed" }, anybody)).toEqual([]);
  });

  it("stops within one item when it is cancelled, keeps what is finished, and goes on when resumed", async () => {
    const rooms = await open();
    rooms.jobs.define(countingJob);
    const { id } = await startJob(rooms, "test.count", { items: 300 });
    const seen: JobEvent[] = [];
    let cancelled: Promise<Job> | null = null;
    for await (const event of rooms.jobs.follow(id, anybody, never)) {
      seen.push(event);
      if (event.event === "job.item" && !cancelled) cancelled = rooms.jobs.cancel(id, anybody);
    }
    const job = await cancelled;
    expect(job).toMatchObject({ state: "cancelled", resumable: true, error: null });
    // The item in work when it was cancelled is the last one.
    expect(job?.done).toBeLessThanOrEqual(2);
    expect(await effects(rooms)).toHaveLength(job?.done ?? -1);
    expect(seen.at(-1)).toMatchObject({ event: "job.end", data: { job: { state: "cancelled" } } });
    expect(await rooms.ledger.list({ limit: 5, job: id })).toEqual([]);
    await rooms.jobs.resume(id, anybody, "all");
    expect(await rooms.jobs.ended(id, never)).toMatchObject({
      state: "succeeded",
      done: 300,
      attempt: 2,
    });
    const rows = await effects(rooms);
    expect(new Set(rows).size).toBe(300);
    expect(rows).toHaveLength(300);
  });

  it("is cancelled while it waits, and those who wait for it are told", async () => {
    const rooms = await open();
    const gate = Promise.withResolvers<void>();
    rooms.jobs.define(drivenJob(() => gate.promise));
    rooms.jobs.define(countingJob);
    const first = await startJob(rooms, "test.driven", {});
    const second = await startJob(rooms, "test.count", { items: 1 });
    const told = rooms.jobs.ended(second.id, never);
    expect(await rooms.jobs.cancel(second.id, anybody)).toMatchObject({ state: "cancelled" });
    expect(await told).toMatchObject({ state: "cancelled" });
    gate.resolve();
    await rooms.jobs.ended(first.id, never);
    expect(await effects(rooms)).toEqual([]);
    expect(await rooms.jobs.cancel(first.id, anybody)).toMatchObject({ state: "succeeded" });
  });

  it("runs only the failed items again when asked to", async () => {
    const rooms = await open();
    rooms.jobs.define(countingJob);
    const { id } = await startJob(rooms, "test.count", { items: 5, failing: [1, 3] });
    await rooms.jobs.ended(id, never);
    await rooms.jobs.resume(id, anybody, "failed");
    const job = await rooms.jobs.ended(id, never);
    expect(job).toMatchObject({ state: "succeeded", done: 5, failed: 0, attempt: 2 });
    const items = await rooms.jobs.items(id, { limit: 9 }, anybody);
    expect(items.map(({ attempt }) => attempt)).toEqual([1, 2, 1, 2, 1]);
    const rows = await effects(rooms);
    expect(rows).toHaveLength(5);
    expect(new Set(rows).size).toBe(5);
    for (const only of ["all", "failed"] as const)
      await expect(rooms.jobs.resume(id, anybody, only)).rejects.toMatchObject({
        code: "job_not_resumable",
        status: 409,
      });
  });
});

describe("following", () => {
  it("tells start, every item in order, and the end, with growing sequence numbers", async () => {
    const rooms = await open();
    const gate = Promise.withResolvers<void>();
    rooms.jobs.define(
      drivenJob(async ({ finish, fail, expect: total }) => {
        await gate.promise;
        total(3);
        await finish("a", { outcome: "done" }, nothing);
        await fail("b", new Error("b"));
        await finish("c", { outcome: "skipped", reason: "empty" }, nothing);
      }),
    );
    const { id } = await startJob(rooms, "test.driven", {});
    const seen: JobEvent[] = [];
    const following = (async () => {
      for await (const event of rooms.jobs.follow(id, anybody, never)) seen.push(event);
    })();
    // The first state is asked for before anything is told.
    await rooms.jobs.get(id, anybody);
    gate.resolve();
    await following;
    const items = seen.filter(({ event }) => event === "job.item").map(({ data }) => data);
    expect(items).toEqual([
      { item: "a", outcome: "done" },
      { item: "b", outcome: "failed", ledgerId: expect.stringMatching(/^led_/) },
      { item: "c", outcome: "skipped" },
    ]);
    const sequences = seen.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((one, other) => one - other));
    const last = seen.at(-1);
    expect(last).toMatchObject({
      event: "job.end",
      data: { job: { done: 1, failed: 1, skipped: 1, total: 3, state: "partial" } },
    });
    expect(last?.sequence).toBe((await rooms.jobs.get(id, anybody)).sequence);
  });

  it("gives a late follower the last state first, and nothing of which it has the number", async () => {
    const rooms = await open();
    const gate = Promise.withResolvers<void>();
    const halfway = Promise.withResolvers<void>();
    rooms.jobs.define(
      drivenJob(async ({ finish }) => {
        await finish("a", { outcome: "done" }, nothing);
        halfway.resolve();
        await gate.promise;
      }),
    );
    const { id } = await startJob(rooms, "test.driven", {});
    await halfway.promise;
    const late = rooms.jobs.follow(id, anybody, never);
    const first = await late.next();
    expect(first.value).toMatchObject({
      event: "job.progress",
      data: { job: { state: "running", done: 1 } },
    });
    const known = (first.value as JobEvent).sequence;
    const informed = rooms.jobs.follow(id, anybody, never, known).next();
    const outdated = await rooms.jobs.follow(id, anybody, never, known - 1).next();
    expect(outdated.value).toMatchObject({ event: "job.progress", sequence: known });
    gate.resolve();
    expect((await informed).value).toMatchObject({ event: "job.end" });
    expect((await late.next()).value).toMatchObject({ event: "job.end" });
    expect((await late.next()).done).toBe(true);
    // After the end there is one event, however late.
    const after: JobEvent[] = [];
    for await (const event of rooms.jobs.follow(id, anybody, never, 9999)) after.push(event);
    expect(after).toMatchObject([{ event: "job.end", data: { job: { state: "succeeded" } } }]);
  });

  it("ends with its signal and leaves no subscription behind", async () => {
    const rooms = await open();
    const gate = Promise.withResolvers<void>();
    rooms.jobs.define(drivenJob(() => gate.promise));
    const { id } = await startJob(rooms, "test.driven", {});
    const controller = new AbortController();
    const following = rooms.jobs.follow(id, anybody, controller.signal);
    await following.next();
    const waiting = following.next();
    controller.abort();
    expect((await waiting).done).toBe(true);
    expect((await rooms.jobs.ended(id, controller.signal)).state).toBe("running");
    gate.resolve();
  });
});
