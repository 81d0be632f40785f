import { afterAll, beforeAll, expect, test } from "vitest";
import type { Principal } from "#base/access/index.ts";
import { activityList } from "#operations/activity/list.ts";
import { collectionsCreate } from "#operations/collections/create.ts";
import { collectionsGet } from "#operations/collections/get.ts";
import { collectionsUpdate } from "#operations/collections/update.ts";
import { documentsAddBatch } from "#operations/documents/add-batch.ts";
import { documentsDelete } from "#operations/documents/delete.ts";
import { embeddingsEmbed } from "#operations/embeddings/embed.ts";
import { settingsSet } from "#operations/settings/set.ts";
import { modelFolders, openTestApp, type TestApp } from "./fixtures/rooms/open-test-app.ts";
import { keyPrincipal, makeUser } from "./fixtures/rooms/principals.ts";

let room: TestApp;
beforeAll(async () => {
  room = await openTestApp({ "models.static": [modelFolders.tiny] });
  anna = await makeUser(room.app.access, "anna");
  berta = await makeUser(room.app.access, "berta");
});
afterAll(() => room.close());

let anna: Principal;
let berta: Principal;
const all = async (by?: Principal, kind?: "job" | "action" | "error") =>
  (await room.call(activityList, { limit: 100, ...(kind ? { kind } : {}) }, by)).items;

/** A collection with a job, some actions and an error of its owner; returns the ids that show them. */
async function work(name: string, by: Principal) {
  const { id } = await room.call(collectionsCreate, { name }, by);
  const { job } = await room.call(
    documentsAddBatch,
    { collection: id, documents: [{ key: `${name}-plan`, content: `the plan of ${name}` }] },
    by,
  );
  await room.ended(job);
  await room.call(documentsDelete, { collection: id, document: `${name}-plan` }, by);
  const failing = room.call(embeddingsEmbed, { kind: "query", inputs: ["[PAD]"] }, by);
  await expect(failing).rejects.toMatchObject({ code: "inference_failed" });
  return { id, job: job.id };
}

test("is everything of everybody for admins, and for others what they did themselves", async () => {
  const hers = await work("annas", anna);
  const other = await work("bertas", berta);
  // Berta looks for what is not hers: to her it is not there, and her list must not tell otherwise.
  for (const named of [hers.id, "annas", "nowhere"]) {
    await expect(room.call(collectionsGet, { collection: named }, berta)).rejects.toMatchObject({
      code: "not_found",
    });
    await expect(
      room.call(collectionsUpdate, { collection: named, name: "x" }, berta),
    ).rejects.toMatchObject({ code: "not_found" });
  }
  await expect(room.call(settingsSet, { values: {} }, berta)).rejects.toMatchObject({
    code: "permission_denied",
  });
  await expect
    .poll(
      async () =>
        (await all(undefined, "action")).filter(({ outcome }) => outcome === "refused").length,
      { timeout: 30_000 },
    )
    .toBe(5);

  for (const [by, own, foreign, name] of [
    [anna, hers, other, "bertas"],
    [berta, other, hers, "annas"],
  ] as const) {
    const items = await all(by);
    expect(
      items.map(({ kind, title, outcome }) => `${kind} ${title} ${outcome}`).toSorted(),
    ).toEqual([
      "action collections.create done",
      "action documents.addBatch done",
      "action documents.delete done",
      "error The model gave no usable vector inference_failed",
      "job documents.addBatch succeeded",
    ]);
    expect(items.every(({ actor }) => actor === by.id)).toBe(true);
    const shown = JSON.stringify(items);
    for (const secret of [foreign.id, foreign.job, name]) expect(shown).not.toContain(secret);
    expect(shown).toContain(own.job);
    const job = items.find(({ kind }) => kind === "job");
    expect(job).toMatchObject({
      target: { type: "collection", id: own.id },
      links: { job: own.job },
    });
    const error = items.find(({ kind }) => kind === "error");
    expect(error?.links.ledger).toMatch(/^led_/);
    expect(error?.links.request).not.toBeNull();
  }
  for (const by of [keyPrincipal("dev", "developer"), keyPrincipal("eve", "read_only")])
    expect(await all(by)).toEqual([]);

  const everything = await all(keyPrincipal("boss", "admin"));
  expect(everything.filter(({ kind }) => kind === "job")).toHaveLength(2);
  expect(everything.filter(({ outcome }) => outcome === "refused")).toHaveLength(5);
  expect(new Set(everything.map(({ actor }) => actor))).toEqual(new Set([anna.id, berta.id]));
});

test("stands in the order of time and pages through all, once each", async () => {
  const items = await all();
  const times = items.map(({ at, id }) => ({ at: Date.parse(at), id }));
  const sorted = times.toSorted((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1));
  expect(times).toEqual(sorted);
  const seen: string[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page: Awaited<ReturnType<typeof pageAfter>> = await pageAfter(cursor);
    seen.push(...page.items.map(({ id }) => id));
    cursor = page.nextCursor;
  }
  expect(seen).toEqual(items.map(({ id }) => id));
  for (const kind of ["job", "action", "error"] as const)
    expect(await all(undefined, kind)).toEqual(items.filter((item) => item.kind === kind));
  const { nextCursor } = await pageAfter(undefined);
  const wrong = room.call(activityList, { limit: 3, kind: "job", cursor: nextCursor ?? "" });
  await expect(wrong).rejects.toMatchObject({ code: "cursor_stale" });
});
const pageAfter = (cursor: string | undefined) =>
  room.call(activityList, { limit: 3, ...(cursor === undefined ? {} : { cursor }) });

test("things of one moment are neither left out nor told twice", async () => {
  await room.app.database.write(({ tables }) =>
    tables.updateTable("jobs").set({ created_at: 5000 }).execute(),
  );
  await room.app.database.write(({ tables }) =>
    tables.updateTable("ledger_entries").set({ time: 5000 }).execute(),
  );
  const items = await all();
  const seen: string[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page: Awaited<ReturnType<typeof pageAfter>> = await pageAfter(cursor);
    seen.push(...page.items.map(({ id }) => id));
    cursor = page.nextCursor;
  }
  expect(seen).toEqual(items.map(({ id }) => id));
});
