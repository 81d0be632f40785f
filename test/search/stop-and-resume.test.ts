import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { collectionsCreate } from "#operations/collections/create.ts";
import { collectionsDelete } from "#operations/collections/delete.ts";
import { collectionsGet } from "#operations/collections/get.ts";
import { collectionsSync } from "#operations/collections/sync.ts";
import { jobsCancel } from "#operations/jobs/cancel.ts";
import { jobsResume } from "#operations/jobs/resume.ts";
import { searchQuery } from "#operations/search/query.ts";
import { trashEmpty } from "#operations/trash/empty.ts";
import { openTestApp, type TestApp } from "../fixtures/rooms/open-test-app.ts";

let room: TestApp;
beforeAll(async () => {
  room = await openTestApp();
});
afterAll(() => room.close());

let root = "";
let collection = "";
let count = 0;
beforeEach(async () => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "candor-sync-")));
  onTestFinished(() => rmSync(root, { recursive: true }));
  collection = `notes-${(count += 1)}`;
  await room.call(collectionsCreate, { name: collection });
});

const start = async () => (await room.call(collectionsSync, { collection, path: root })).job;
const counts = async () => (await room.call(collectionsGet, { collection })).counts;
const orphans = async () =>
  (
    await room.app.database.unscoped
      .selectFrom("vectors")
      .select("chunk_key")
      .where("chunk_key", "not in", (select) => select.selectFrom("chunks").select("key"))
      .execute()
  ).length;

const many = 120;
const plantMany = () => {
  for (let index = 0; index < many; index += 1)
    writeFileSync(join(root, `n${index}.txt`), `Turnstone number ${index} of ${collection}.`);
};

/** Resolves as soon as the job has finished an item. */
const firstItem = async (app: TestApp["app"], job: { id: string }) => {
  for await (const { event } of app.jobs.follow(
    job.id,
    { owner: "anybody" },
    AbortSignal.timeout(30_000),
  ))
    if (event === "job.item") return;
};

test("cancel ends within the files in work and keeps what is finished; resume does the rest and embeds nothing twice", async () => {
  plantMany();
  const before = room.embedded("ok");
  const job = await start();
  await firstItem(room.app, job);
  const { job: cancelled } = await room.call(jobsCancel, { job: job.id });
  expect(cancelled.state).toBe("cancelled");
  expect(cancelled.done).toBeLessThan(many);
  const kept = await counts();
  expect(kept.documents).toBe(cancelled.done);
  expect(room.embedded("ok") - before).toBeLessThanOrEqual(cancelled.done + 4);
  expect((await counts()).documents).toBe(kept.documents);

  const resumed = await room.call(jobsResume, { job: job.id });
  expect(await room.ended(resumed.job)).toMatchObject({
    state: "succeeded",
    done: many,
    total: many,
    attempt: 2,
  });
  expect((await counts()).documents).toBe(many);
  expect(room.embedded("ok") - before).toBeLessThanOrEqual(many + 4);
  expect(await orphans()).toBe(0);
});

test("a collection that is deleted meanwhile leaves nothing behind", async () => {
  plantMany();
  const job = await start();
  await firstItem(room.app, job);
  const { id } = await room.call(collectionsGet, { collection });
  const deleted = await room.call(collectionsDelete, { collection });
  expect(deleted.dependents).toEqual([{ type: "job", count: 1 }]);
  const ended = await room.ended(job);
  expect(ended).toMatchObject({ state: "failed", error: { code: "not_found" } });
  // One reason for all, and not one for each file.
  expect(ended.failed).toBe(0);
  await room.call(trashEmpty, { all: true });
  for (const table of ["documents", "chunks", "document_texts"] as const)
    expect(
      await room.app.database.unscoped
        .selectFrom(table)
        .selectAll()
        .where("collection_id", "=", id)
        .execute(),
    ).toEqual([]);
  expect(await orphans()).toBe(0);
});

test("a restart takes the job up where it was", async () => {
  plantMany();
  const job = await start();
  await firstItem(room.app, job);
  await room.app.close();
  const done = room.embedded("ok");
  room = await openTestApp({}, room.folder);
  expect(await room.ended(job)).toMatchObject({ state: "succeeded", done: many, failed: 0 });
  expect((await counts()).documents).toBe(many);
  expect(done).toBeGreaterThan(0);
  expect(room.embedded("ok")).toBeLessThan(many);
  const found = await room.call(searchQuery, { query: "turnstone", collections: [collection] });
  expect(found.items.length).toBeGreaterThan(0);
});
