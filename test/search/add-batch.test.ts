import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { z } from "zod";
import type { Job } from "#base/jobs/index.ts";
import { collectionsCreate } from "#operations/collections/create.ts";
import { collectionsDelete } from "#operations/collections/delete.ts";
import { documentsAdd } from "#operations/documents/add.ts";
import { documentsAddBatch } from "#operations/documents/add-batch.ts";
import { documentsDelete } from "#operations/documents/delete.ts";
import { documentsList } from "#operations/documents/list.ts";
import { jobsCancel } from "#operations/jobs/cancel.ts";
import { jobsItems } from "#operations/jobs/items.ts";
import { jobsResume } from "#operations/jobs/resume.ts";
import { jobsRetryFailed } from "#operations/jobs/retry-failed.ts";
import { openTestApp, type TestApp } from "../fixtures/rooms/open-test-app.ts";

let room: TestApp;
beforeAll(async () => {
  room = await openTestApp();
});
afterAll(() => room.close());

let collection = "";
let count = 0;
beforeEach(async () => {
  collection = `batch-${(count += 1)}`;
  await room.call(collectionsCreate, { name: collection });
});

type Documents = z.input<typeof documentsAddBatch.input>["documents"];
type Bulk = {
  done: number;
  failed: number;
  skipped: number;
  items: {
    index: number;
    key: string;
    document: string | null;
    outcome: string;
    chunks: number | null;
  }[];
  errors: { item: string; code: string; message: string; ledgerId: string }[];
};

const start = async (documents: Documents, input: object = {}) =>
  (await room.call(documentsAddBatch, { collection, documents, ...input })).job;
const run = async (documents: Documents, input: object = {}) =>
  room.ended(await start(documents, input));
const bulk = (job: Job) => job.result as Bulk;
const keys = async () =>
  (await room.call(documentsList, { collection, limit: 100 })).items.map(({ key }) => key);

test("every document by itself: half of them failing is partial, each failure in the ledger", async () => {
  await room.call(documentsAdd, { collection, key: "same", content: "unchanged text" });
  await room.call(documentsAdd, { collection, key: "old", content: "an older text" });
  const job = await run([
    { key: "new", content: "a new text" },
    { key: "blank", content: "  " },
    { key: "same", content: "unchanged text" },
    { key: "bad.json", content: "{" },
    { key: "old", content: "a newer text" },
    { key: "nothing" },
  ]);
  expect(job).toMatchObject({
    state: "partial",
    unit: "documents",
    total: 6,
    done: 3,
    failed: 3,
    skipped: 0,
    error: null,
  });
  const { items, errors, ...sums } = bulk(job);
  expect(sums).toEqual({ done: 3, failed: 3, skipped: 0 });
  expect(items.map(({ index, key, outcome, chunks }) => [index, key, outcome, chunks])).toEqual([
    [0, "new", "added", 1],
    [2, "same", "unchanged", 1],
    [4, "old", "replaced", 1],
  ]);
  expect(errors.map(({ item, code }) => `${item}, ${code}`).toSorted()).toEqual([
    "1: blank, document_empty",
    "3: bad.json, format_invalid",
    "5: nothing, input_invalid",
  ]);
  const ledger = await room.app.database.read
    .selectFrom("ledger_entries")
    .select(["id", "item", "job_id", "code"])
    .where("job_id", "=", job.id)
    .execute();
  for (const { ledgerId, item, code } of errors)
    expect(ledger).toContainEqual({ id: ledgerId, item, job_id: job.id, code });
  expect(await keys()).toEqual(["new", "old", "same"]);
});

test("nothing succeeding is failed", async () => {
  const job = await run([{ key: "a", content: " " }, { key: "b" }]);
  expect(job).toMatchObject({
    state: "failed",
    done: 0,
    failed: 2,
    error: { code: "job_below_threshold" },
  });
  expect(await keys()).toEqual([]);
});

test("a second time embeds nothing and changes nothing", async () => {
  const documents = Array.from({ length: 20 }, (_, index) => ({
    key: `k${index}`,
    content: `text ${index} of ${collection}`,
  }));
  await run(documents);
  const embedded = room.embedded();
  const again = bulk(await run(documents));
  expect(new Set(again.items.map(({ outcome }) => outcome))).toEqual(new Set(["unchanged"]));
  expect(room.embedded()).toBe(embedded);
});

test("only failed ones are retried; the result is of the whole batch", async () => {
  await room.call(documentsAdd, { collection, key: "gone", content: "to be deleted" });
  const job = await run([
    { key: "good", content: "good text" },
    { key: "gone", content: "to be deleted" },
    { key: "bad", content: " " },
  ]);
  await room.call(documentsDelete, { collection, document: "gone" });
  const embedded = room.embedded();
  const again = await room.ended((await room.call(jobsRetryFailed, { job: job.id })).job);
  expect(again).toMatchObject({ state: "partial", done: 2, failed: 1, attempt: 2 });
  expect(room.embedded()).toBe(embedded);
  expect(bulk(again).items).toMatchObject([
    { index: 0, key: "good", outcome: "added", chunks: 1 },
    { index: 1, key: "gone", document: null, outcome: "unchanged", chunks: null },
  ]);
});

describe("batchSize", () => {
  test("is how many are in work at the same time: a cancelled batch of one stops after one", async () => {
    const documents = Array.from({ length: 60 }, (_, index) => ({
      key: `k${String(index).padStart(2, "0")}`,
      content: `text ${index}`,
    }));
    const job = await start(documents, { batchSize: 1 });
    for await (const { event } of room.app.jobs.follow(
      job.id,
      { owner: "anybody" },
      AbortSignal.timeout(30_000),
    ))
      if (event === "job.item") break;
    const { job: cancelled } = await room.call(jobsCancel, { job: job.id });
    expect(cancelled).toMatchObject({ state: "cancelled", failed: 0 });
    const kept = await keys();
    expect(kept).toEqual(documents.slice(0, kept.length).map(({ key }) => key));
    expect(kept.length).toBeLessThan(60);
    const resumed = await room.ended((await room.call(jobsResume, { job: job.id })).job);
    expect(resumed).toMatchObject({ state: "succeeded", done: 60 });
    expect(bulk(resumed).items.map(({ index }) => index)).toEqual(
      documents.map((_one, index) => index),
    );
    expect(new Set(bulk(resumed).items.map(({ outcome }) => outcome))).toEqual(new Set(["added"]));
  });

  test("changes nothing of the outcome", async () => {
    for (const batchSize of [1, 3, 100]) {
      const documents = Array.from({ length: 10 }, (_, index) => ({
        key: `${batchSize}-${index}`,
        content: `text ${index}`,
      }));
      expect(await run(documents, { batchSize })).toMatchObject({ state: "succeeded", done: 10 });
    }
    expect(await keys()).toHaveLength(30);
  });

  test.each([0, 101, 1.5])("%d is refused", async (batchSize) => {
    const refused = start([{ content: "a" }], { batchSize });
    await expect(refused).rejects.toMatchObject({
      code: "input_invalid",
      errors: [{ pointer: "/batchSize" }],
    });
  });
});

test("a collection that is deleted meanwhile ends the job with one reason", async () => {
  const job = await start(
    Array.from({ length: 60 }, (_, index) => ({ key: `k${index}`, content: `text ${index}` })),
    { batchSize: 2 },
  );
  await room.call(collectionsDelete, { collection });
  expect(await room.ended(job)).toMatchObject({
    state: "failed",
    failed: 0,
    error: { code: "not_found" },
  });
});

test("no document and more than a thousand are refused", async () => {
  await expect(start([])).rejects.toMatchObject({ code: "input_invalid" });
  const many = Array.from({ length: 1001 }, () => ({ content: "a" }));
  await expect(start(many)).rejects.toMatchObject({ code: "input_invalid" });
  await expect(start([{ content: "a", colour: "red" } as never])).rejects.toMatchObject({
    errors: [{ pointer: "/documents/0/colour" }],
  });
});

test("items page by name", async () => {
  const job = await run(
    Array.from({ length: 5 }, (_, index) => ({ key: `k${index}`, content: `text ${index}` })),
  );
  const first = await room.call(jobsItems, { job: job.id, limit: 3 });
  const second = await room.call(jobsItems, {
    job: job.id,
    limit: 3,
    cursor: first.nextCursor ?? "",
  });
  expect([...first.items, ...second.items].map(({ item }) => item)).toEqual([
    "0: k0",
    "1: k1",
    "2: k2",
    "3: k3",
    "4: k4",
  ]);
});
