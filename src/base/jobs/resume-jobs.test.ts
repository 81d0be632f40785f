import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
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

async function open(folder: string): Promise<Rooms> {
  const rooms = await openRooms(folder);
  onTestFinished(() => rooms.close());
  return rooms;
}

describe("the end of the process", () => {
  it("by close() leaves a running job to the next start, which counts on", async () => {
    const folder = freshFolder(onTestFinished);
    const rooms = await open(folder);
    rooms.jobs.define(countingJob);
    const { id } = await startJob(rooms, "test.count", { items: 50, pauseMs: 1 });
    for await (const { event } of rooms.jobs.follow(id, anybody, never))
      if (event === "job.item") break;
    await rooms.close();
    const next = await open(folder);
    const left = await next.jobs.get(id, anybody);
    expect(left.state).toBe("queued");
    expect(left.done).toBeGreaterThan(0);
    expect(left.done).toBeLessThan(50);
    expect(await effects(next)).toHaveLength(left.done);
    next.jobs.define(countingJob);
    await next.jobs.takeUp();
    expect(await next.jobs.ended(id, never)).toMatchObject({
      state: "succeeded",
      done: 50,
      failed: 0,
      attempt: 2,
    });
    const rows = await effects(next);
    expect(rows).toHaveLength(50);
    expect(new Set(rows).size).toBe(50);
    expect(await next.ledger.list({ limit: 5 })).toEqual([]);
  });

  it(
    "by kill -9 loses no effect and doubles none; a job that always kills is left interrupted",
    { timeout: 120_000 },
    async () => {
      const folder = freshFolder(onTestFinished);
      const script = fileURLToPath(
        new URL("../../../test/fixtures/rooms/run-job-until-killed.ts", import.meta.url),
      );
      const items = 600;
      let id = "";
      for (const [round, wanted] of [20, 60, 120].entries()) {
        const child = spawn(process.execPath, [script, folder, round === 0 ? String(items) : "0"], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        let text = "";
        child.stdout.on("data", (bytes) => {
          text += String(bytes);
          if (text.split("job.item").length > wanted) child.kill("SIGKILL");
        });
        await once(child, "close");
        id = /job_[0-9A-Z]+/.exec(text)?.[0] ?? "";
        const file = new DatabaseSync(join(folder, "candor.sqlite"));
        const number = (query: string) => Number(Object.values(file.prepare(query).get() ?? {})[0]);
        const done = number("select count(*) from job_items where outcome = 'done'");
        expect(number("select count(*) from sessions")).toBe(done);
        expect(number("select count(distinct substr(hash, 1, 7)) from sessions")).toBe(done);
        file.close();
      }
      const rooms = await open(folder);
      rooms.jobs.define(countingJob);
      await rooms.jobs.takeUp();
      const job = await rooms.jobs.get(id, anybody);
      expect(job).toMatchObject({
        state: "interrupted",
        resumable: true,
        error: { code: "job_interrupted" },
      });
      expect(await rooms.ledger.list({ limit: 5, code: "job_interrupted" })).toMatchObject([
        { jobId: id },
      ]);
      await rooms.jobs.resume(id, anybody, "all");
      expect(await rooms.jobs.ended(id, never)).toMatchObject({
        state: "succeeded",
        done: items,
        failed: 0,
        total: items,
      });
      const rows = await effects(rooms);
      expect(rows).toHaveLength(items);
      expect(new Set(rows).size).toBe(items);
    },
  );

  it("whose kind is not known to the next one leaves a job interrupted with the reason", async () => {
    const folder = freshFolder(onTestFinished);
    const rooms = await open(folder);
    rooms.jobs.define(countingJob);
    const { id } = await rooms.database.write((handle) =>
      rooms.jobs.enqueue(handle, "test.count", {
        owner: "local",
        target: { type: "test", id: "t" },
        input: { items: 1 },
      }),
    );
    await rooms.close();
    const next = await open(folder);
    await next.jobs.takeUp();
    expect(await next.jobs.get(id, anybody)).toMatchObject({
      state: "interrupted",
      error: { detail: expect.stringContaining("no jobs of the kind test.count") },
    });
  });
});

describe("a store that refuses the end of a job", () => {
  it("makes it interrupted for those who wait, and resumable", { timeout: 60_000 }, async () => {
    const folder = freshFolder(onTestFinished);
    const rooms = await open(folder);
    const file = new DatabaseSync(join(folder, "candor.sqlite"));
    onTestFinished(() => file.close());
    rooms.jobs.define(
      drivenJob(async ({ finish }) => {
        await finish("a", { outcome: "done" }, nothing);
        // From here on the row of no job can end: a rule of the file itself refuses it.
        file.exec(
          "create trigger refuse before update of finished_at on jobs begin select raise(abort, 'refused'); end",
        );
      }),
    );
    const { id } = await startJob(rooms, "test.driven", {});
    const job = await rooms.jobs.ended(id, never);
    expect(job).toMatchObject({
      state: "interrupted",
      done: 1,
      error: { code: "database_integrity" },
    });
    expect(await rooms.jobs.get(id, anybody)).toMatchObject({ state: "interrupted" });
    expect(await rooms.ledger.list({ limit: 5, job: id })).toMatchObject([
      { code: "database_integrity" },
    ]);
    file.exec("drop trigger refuse");
    rooms.jobs.define(drivenJob(nothing, "test.other"));
    await rooms.jobs.cancel(id, anybody);
    expect(await rooms.jobs.get(id, anybody)).toMatchObject({ state: "cancelled", done: 1 });
  });
});
