import { afterAll, beforeAll, expect, test } from "vitest";
import { localPrincipal } from "#base/access/index.ts";
import { collectionsCreate } from "#operations/collections/create.ts";
import { collectionsDelete } from "#operations/collections/delete.ts";
import { collectionsGet } from "#operations/collections/get.ts";
import { collectionsList } from "#operations/collections/list.ts";
import { collectionsSync } from "#operations/collections/sync.ts";
import { collectionsUpdate } from "#operations/collections/update.ts";
import { documentsAdd } from "#operations/documents/add.ts";
import { documentsAddBatch } from "#operations/documents/add-batch.ts";
import { documentsDelete } from "#operations/documents/delete.ts";
import { documentsGet } from "#operations/documents/get.ts";
import { documentsList } from "#operations/documents/list.ts";
import { documentsRead } from "#operations/documents/read.ts";
import { jobsGet } from "#operations/jobs/get.ts";
import { jobsItems } from "#operations/jobs/items.ts";
import { searchExplain } from "#operations/search/explain.ts";
import { searchQuery } from "#operations/search/query.ts";
import { modelFolders, openTestApp, type TestApp } from "../fixtures/rooms/open-test-app.ts";
import { keyPrincipal } from "../fixtures/rooms/principals.ts";

let room: TestApp;
beforeAll(async () => {
  room = await openTestApp({ "models.static": [modelFolders.standard, modelFolders.tiny] });
});
afterAll(() => room.close());

const create = (name: string, input: object = {}) =>
  room.call(collectionsCreate, { name, ...input });
const add = (collection: string, key: string, content: string, input: object = {}) =>
  room.call(documentsAdd, { collection, key, content, ...input });

const [reader, writer, stranger] = [
  keyPrincipal("reader", "read_only"),
  keyPrincipal("writer"),
  keyPrincipal("stranger"),
];
let secret: { id: string; chunk: string; job: string };

beforeAll(async () => {
  const { id } = await create("secret");
  await add("secret", "plan", "the albatross plan");
  const { job } = await room.call(documentsAddBatch, {
    collection: id,
    documents: [{ key: "batch", content: "an albatross batch" }],
  });
  await room.ended(job);
  const [hit] = (await room.call(searchQuery, { query: "albatross", collections: [id] })).items;
  secret = { id, chunk: hit?.chunk ?? "", job: job.id };
  await room.grant(reader, id, "read");
  await room.grant(writer, id, "write");
});

/** What a caller is told of the thing in the way and of one that does not exist; they must be the same but for the name. */
async function told(run: (named: string) => Promise<unknown>, existing: string) {
  const answers = [];
  for (const named of [existing, `${existing.slice(0, -3)}000`]) {
    const error = await run(named).then(
      () => null,
      (thrown: unknown) => thrown as { code: string; status: number; message: string },
    );
    answers.push({
      code: error?.code,
      status: error?.status,
      message: error?.message.replaceAll(named, "NAME"),
    });
  }
  return answers;
}

test("unknown and forbidden look the same, everywhere", async () => {
  const document = "plan";
  const probes: [string, (named: string) => Promise<unknown>][] = [
    [secret.id, (collection) => room.call(collectionsGet, { collection }, stranger)],
    ["secret", (collection) => room.call(collectionsGet, { collection }, stranger)],
    [secret.id, (collection) => room.call(collectionsUpdate, { collection, name: "x" }, stranger)],
    [secret.id, (collection) => room.call(collectionsDelete, { collection }, stranger)],
    [secret.id, (collection) => room.call(collectionsSync, { collection, path: "/" }, stranger)],
    [secret.id, (collection) => room.call(documentsList, { collection }, stranger)],
    [secret.id, (collection) => room.call(documentsGet, { collection, document }, stranger)],
    [secret.id, (collection) => room.call(documentsRead, { collection, document }, stranger)],
    [secret.id, (collection) => room.call(documentsDelete, { collection, document }, stranger)],
    [secret.id, (collection) => room.call(documentsAdd, { collection, content: "x" }, stranger)],
    [
      secret.id,
      (collection) =>
        room.call(documentsAddBatch, { collection, documents: [{ content: "x" }] }, stranger),
    ],
    [
      secret.id,
      (named) => room.call(searchQuery, { query: "plan", collections: [named] }, stranger),
    ],
    [
      "secret",
      (named) => room.call(searchQuery, { query: "plan", collections: [named] }, stranger),
    ],
    [secret.chunk, (chunk) => room.call(searchExplain, { query: "plan", chunk }, stranger)],
    [secret.job, (job) => room.call(jobsGet, { job }, stranger)],
    [secret.job, (job) => room.call(jobsItems, { job }, stranger)],
  ];
  for (const [existing, probe] of probes) {
    const [forbidden, unknown] = await told(probe, existing);
    expect(forbidden).toEqual(unknown);
    expect(forbidden).toMatchObject({ code: "not_found", status: 404 });
  }
});

test("lists, counts and searches hold what may be read and nothing else", async () => {
  expect((await room.call(collectionsList, {}, stranger)).items).toEqual([]);
  const nothing = await room.call(searchQuery, { query: "albatross" }, stranger);
  expect(nothing).toMatchObject({
    items: [],
    searched: { collections: 0, documents: 0, chunks: 0 },
    notices: [],
  });
  const listed = await room.call(collectionsList, {}, reader);
  expect(listed.items.map(({ name, right }) => [name, right])).toEqual([["secret", "read"]]);
  const found = await room.call(searchQuery, { query: "albatross" }, reader);
  expect(found.items.map(({ key }) => key).toSorted()).toEqual(["batch", "plan"]);
  expect(found.searched).toEqual({ collections: 1, documents: 2, chunks: 2 });
  const explained = await room.call(searchExplain, { query: "plan", chunk: secret.chunk }, reader);
  expect(explained.chunk).toBe(secret.chunk);
});

test("a right that is too small is a 403 that names both", async () => {
  const refused = { code: "permission_denied", status: 403 };
  const collection = secret.id;
  const readerOfWriters = keyPrincipal("reader");
  await room.grant(readerOfWriters, collection, "read");
  const content = "x";
  await expect(
    room.call(documentsAdd, { collection, content }, readerOfWriters),
  ).rejects.toMatchObject({
    ...refused,
    message: `This needs the right write on collection "${collection}"; you have read.`,
  });
  await expect(
    room.call(documentsDelete, { collection, document: "plan" }, readerOfWriters),
  ).rejects.toMatchObject(refused);
  await expect(room.call(collectionsDelete, { collection }, writer)).rejects.toMatchObject(refused);
  await expect(
    room.call(collectionsUpdate, { collection, name: "mine" }, writer),
  ).rejects.toMatchObject(refused);
  await expect(room.call(documentsAdd, { collection, content }, reader)).rejects.toMatchObject(
    refused,
  );
  expect(
    (await room.call(documentsAdd, { collection, content: "by a writer" }, writer)).outcome,
  ).toBe("added");
});

test("an owner's collection is its own, and an admin's too", async () => {
  const mine = await room.call(collectionsCreate, { name: "mine" }, stranger);
  expect(mine.right).toBe("owner");
  expect((await room.call(collectionsList, {}, stranger)).items.map(({ name }) => name)).toEqual([
    "mine",
  ]);
  const asAdmin = await room.call(
    collectionsGet,
    { collection: "mine" },
    keyPrincipal("boss", "admin"),
  );
  expect(asAdmin.right).toBe("owner");
  expect(localPrincipal.role).toBe("superadmin");
  const refused = room.call(collectionsGet, { collection: "mine" }, writer);
  await expect(refused).rejects.toMatchObject({ code: "not_found" });
  await room.call(collectionsDelete, { collection: "mine" }, stranger);
});

test("a denied attempt is in the ledger, with who it was", async () => {
  const entries = await room.app.database.read
    .selectFrom("ledger_entries")
    .select(["code", "principal", "message"])
    .where("principal", "=", stranger.id)
    .where("code", "=", "permission_denied")
    .execute();
  expect(entries.length).toBeGreaterThan(5);
  expect(entries[0]?.message).toContain(secret.id);
});
