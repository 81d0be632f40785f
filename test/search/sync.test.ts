import {
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { Job } from "#base/jobs/index.ts";
import { collectionsCreate } from "#operations/collections/create.ts";
import { collectionsGet } from "#operations/collections/get.ts";
import { collectionsSync } from "#operations/collections/sync.ts";
import { documentsAdd } from "#operations/documents/add.ts";
import { documentsDelete } from "#operations/documents/delete.ts";
import { documentsGet } from "#operations/documents/get.ts";
import { documentsList } from "#operations/documents/list.ts";
import { jobsItems } from "#operations/jobs/items.ts";
import { jobsRetryFailed } from "#operations/jobs/retry-failed.ts";
import { searchQuery } from "#operations/search/query.ts";
import { trashEmpty } from "#operations/trash/empty.ts";
import type { Principal } from "#base/access/index.ts";
import { openTestApp, type TestApp } from "../fixtures/rooms/open-test-app.ts";
import { makeUser } from "../fixtures/rooms/principals.ts";

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

const write = (key: string, content: string | Uint8Array) => {
  mkdirSync(dirname(join(root, key)), { recursive: true });
  writeFileSync(join(root, key), content);
};
const start = async (input: object = {}, by?: Principal) =>
  (await room.call(collectionsSync, { collection, path: root, ...input }, by)).job;
const sync = async (input: object = {}) => room.ended(await start(input));
const keys = async () =>
  (await room.call(documentsList, { collection })).items.map(({ key }) => key);
const counts = async () => (await room.call(collectionsGet, { collection })).counts;
const find = async (query: string, mode: "keyword" | "semantic" = "keyword") =>
  (await room.call(searchQuery, { query, mode, collections: [collection] })).items;
const items = async (job: Job) => {
  const all = (await room.call(jobsItems, { job: job.id, limit: 100 })).items;
  return Object.fromEntries(
    all.map(({ item, outcome, reason }) => [
      item,
      reason === null ? outcome : `${outcome}: ${reason}`,
    ]),
  );
};
const orphans = async () =>
  (
    await room.app.database.unscoped
      .selectFrom("vectors")
      .select("chunk_key")
      .where("chunk_key", "not in", (select) => select.selectFrom("chunks").select("key"))
      .execute()
  ).length;

describe("a collection holds what its folder holds", () => {
  test("added, unchanged, replaced and removed are told apart; a second run embeds nothing", async () => {
    write("a.md", "# A\n\nAlbatross.");
    write("sub/b.txt", "Bittern.");
    write("sub/deeper/c.py", "def cormorant():\n    return 1\n");
    const first = await sync();
    expect(first).toMatchObject({
      state: "succeeded",
      done: 3,
      total: 3,
      result: {
        added: 3,
        replaced: 0,
        unchanged: 0,
        removed: 0,
        failed: 0,
        skipped: [],
        skippedCount: 0,
      },
    });
    expect(await keys()).toEqual(["a.md", "sub/b.txt", "sub/deeper/c.py"]);
    const embedded = room.embedded();
    const { generation } = (await room.call(collectionsGet, { collection })).index;
    expect((await sync()).result).toMatchObject({
      added: 0,
      unchanged: 3,
      replaced: 0,
      removed: 0,
    });
    expect(room.embedded()).toBe(embedded);
    expect((await room.call(collectionsGet, { collection })).index.generation).toBe(generation);

    write("a.md", "# A\n\nAvocet.");
    rmSync(join(root, "sub/b.txt"));
    write("d.txt", "Dunlin.");
    expect((await sync()).result).toMatchObject({
      added: 1,
      unchanged: 1,
      replaced: 1,
      removed: 1,
    });
    expect(room.embedded()).toBe(embedded + 2);
    expect(await keys()).toEqual(["a.md", "d.txt", "sub/deeper/c.py"]);
  });

  test("a deleted file is gone from both legs, the counts and the tables", async () => {
    write("stays.txt", "The heron stays.");
    write("goes.txt", "The ibis goes.");
    await sync();
    const before = await counts();
    rmSync(join(root, "goes.txt"));
    const job = await sync();
    expect(job).toMatchObject({ state: "succeeded", total: 2, done: 2 });
    expect(await items(job)).toEqual({
      "stays.txt": "done: unchanged",
      "goes.txt (removed)": "done: removed",
    });
    expect(await find("ibis")).toEqual([]);
    expect((await find("ibis", "semantic")).map(({ key }) => key)).toEqual(["stays.txt"]);
    expect(await counts()).toEqual({
      documents: 1,
      chunks: before.chunks - 1,
      vectors: before.vectors - 1,
      bytes: 16,
    });
    await room.call(trashEmpty, { all: true });
    expect(await orphans()).toBe(0);
  });

  test("a renamed and a copied file cost no embedding", async () => {
    write("old.txt", "The kittiwake nests on cliffs.");
    await sync();
    const embedded = room.embedded();
    renameSync(join(root, "old.txt"), join(root, "new.txt"));
    write("copy.txt", "The kittiwake nests on cliffs.");
    expect((await sync()).result).toMatchObject({ added: 2, removed: 1 });
    expect(room.embedded()).toBe(embedded);
    expect((await find("kittiwake")).map(({ key }) => key).toSorted()).toEqual([
      "copy.txt",
      "new.txt",
    ]);
  });

  test("globs take effect; what they leave out goes", async () => {
    for (const key of ["a.md", "b.txt", "drafts/c.md"]) write(key, `Text of ${key}.`);
    await sync({ include: ["**/*.md"] });
    expect(await keys()).toEqual(["a.md", "drafts/c.md"]);
    expect((await sync({ exclude: ["drafts/**"] })).result).toMatchObject({ added: 1, removed: 1 });
    expect(await keys()).toEqual(["a.md", "b.txt"]);
  });

  test("a document that was deleted by hand comes back", async () => {
    write("a.txt", "A text.");
    await sync();
    await room.call(documentsDelete, { collection, document: "a.txt" });
    expect((await sync()).result).toMatchObject({ added: 1 });
  });
});

describe("what cannot be indexed", () => {
  test("is skipped or failed with its reason, in counts and items; the rest goes on", async () => {
    write("good.txt", "Good text.");
    write("bad.json", '{"a": ');
    write("bytes.txt", Buffer.from([0x61, 0xff, 0x62]));
    write("empty.txt", "");
    write("blank.txt", " \n ");
    write("image.bin", Buffer.from([0, 1, 2, 3, 0]));
    write("node_modules/a/index.js", "x");
    symlinkSync("/etc/hostname", join(root, "link.txt"));
    const job = await sync();
    expect(job).toMatchObject({ state: "partial", done: 1, failed: 2, total: 8, error: null });
    expect(job.done + job.failed + job.skipped).toBe(job.total);
    const told = await items(job);
    expect(told).toMatchObject({
      "good.txt": "done",
      "bad.json": expect.stringMatching(/^failed: format_invalid: bad\.json is not valid JSON/),
      "bytes.txt": expect.stringMatching(/^failed: .*UTF-8/),
      "empty.txt": "skipped: empty",
      "blank.txt": "skipped: empty",
      "image.bin": "skipped: binary",
      "link.txt": "skipped: link out of the folder",
    });
    const { skipped, skippedCount, failed } = job.result as {
      skipped: object[];
      skippedCount: number;
      failed: number;
    };
    expect(failed).toBe(2);
    expect(skipped).toHaveLength(skippedCount);
    expect(skippedCount).toBe(job.skipped);
    const listed = (await room.call(jobsItems, { job: job.id, limit: 100 })).items;
    for (const { outcome, ledgerId } of listed)
      if (outcome === "failed") expect(ledgerId).toMatch(/^led_/);
  });

  test("an indexed file that becomes unreadable text keeps what was indexed; one that becomes binary goes", async () => {
    write("a.json", '{"bird": "jaeger"}');
    write("b.dat", "The knot.");
    write("c.txt", "The loon.");
    await sync();
    write("a.json", "{");
    write("b.dat", Buffer.from([0, 1, 2, 0]));
    expect(await sync()).toMatchObject({ state: "partial", failed: 1, skipped: 1 });
    expect((await find("jaeger")).map(({ key, freshness }) => [key, freshness.state])).toEqual([
      ["a.json", "stale"],
    ]);
    expect(await find("knot")).toEqual([]);
  });

  test("all files: the job fails, with the threshold as its reason", async () => {
    write("a.json", "{");
    write("b.json", "[");
    expect(await sync()).toMatchObject({
      state: "failed",
      failed: 2,
      error: { code: "job_below_threshold" },
    });
  });

  test("a folder that cannot be read keeps its documents; retrying indexes what is below", async () => {
    write("sub/a.txt", "The lapwing.");
    write("other/b.txt", "The merlin.");
    await sync();
    write("sub/.gitignore", "#".repeat(1_000_001));
    rmSync(join(root, "sub/a.txt"));
    rmSync(join(root, "other/b.txt"));
    write("c.txt", "The nightjar.");
    const job = await sync();
    expect(job).toMatchObject({ state: "partial", failed: 1, result: { added: 1, removed: 1 } });
    expect(await keys()).toEqual(["c.txt", "sub/a.txt"]);

    rmSync(join(root, "sub/.gitignore"));
    write("sub/new.txt", "The oriole.");
    const again = await room.call(jobsRetryFailed, { job: job.id });
    expect(await room.ended(again.job)).toMatchObject({ state: "succeeded", failed: 0 });
    expect((await find("oriole")).map(({ key }) => key)).toEqual(["sub/new.txt"]);
    await sync();
    expect(await keys()).toEqual(["c.txt", "sub/new.txt"]);
  });

  test("a root that is gone changes nothing", async () => {
    write("sub/a.txt", "The pipit.");
    const path = join(root, "sub");
    await sync({ path });
    const job = await start({ path });
    await room.ended(job);
    rmSync(path, { recursive: true });
    const refused = room.call(collectionsSync, { collection, path });
    await expect(refused).rejects.toMatchObject({ code: "file_missing" });
    mkdirSync(path);
    const emptied = await sync({ path });
    expect(emptied).toMatchObject({ state: "succeeded", result: { removed: 1 } });
  });

  test("failed files that were mended are all that a retry works on", async () => {
    write("good.txt", "The quail.");
    write("bad.json", "{");
    const job = await sync();
    write("bad.json", '{"bird": "rail"}');
    write("new.txt", "not part of the retry");
    const again = await room.call(jobsRetryFailed, { job: job.id });
    expect(await room.ended(again.job)).toMatchObject({
      state: "succeeded",
      done: 2,
      failed: 0,
      attempt: 2,
    });
    expect(await keys()).toEqual(["bad.json", "good.txt"]);
  });
});

describe("keys and roots", () => {
  test("a key of another source is taken; the others go on, and nobody's document is touched", async () => {
    await room.call(documentsAdd, { collection, key: "a.txt", content: "by hand" });
    write("a.txt", "from the folder");
    write("b.txt", "from the folder too");
    const job = await sync();
    expect(job).toMatchObject({ state: "partial", done: 1, failed: 1 });
    expect((await items(job))["a.txt"]).toBe(
      `failed: key_taken: The key "a.txt" belongs to a document added by hand in collection ${collection}.`,
    );
    const refused = room.call(documentsAdd, { collection, key: "b.txt", content: "by hand" });
    await expect(refused).rejects.toMatchObject({ code: "key_taken", status: 409 });

    const second = mkdtempSync(join(tmpdir(), "candor-sync-"));
    onTestFinished(() => rmSync(second, { recursive: true }));
    writeFileSync(join(second, "b.txt"), "of another root");
    writeFileSync(join(second, "c.txt"), "of another root as well");
    expect(await sync({ path: second })).toMatchObject({
      state: "partial",
      result: { added: 1, removed: 0 },
    });
    rmSync(join(root, "b.txt"));
    expect((await sync()).result).toMatchObject({ removed: 1 });
    expect(await keys()).toEqual(["a.txt", "c.txt"]);
  });

  test("other principals than local sync only below storage.roots, after links are resolved", async () => {
    const writer = await makeUser(room.app.access, `writer-${count}`);
    const { id } = await room.call(collectionsGet, { collection });
    await room.grant(writer, id, "write");
    mkdirSync(join(root, "allowed/inside"), { recursive: true });
    mkdirSync(join(root, "allowed-not"));
    symlinkSync(join(root, "allowed-not"), join(root, "allowed/out"));
    const refused = { code: "path_refused", status: 403 };
    const at = (path: string) => start({ path }, writer);
    await expect(at(join(root, "allowed"))).rejects.toMatchObject(refused);

    await room.app.configuration.set({ "storage.roots": [join(root, "allowed")] });
    onTestFinished(async () => void (await room.app.configuration.set({ "storage.roots": null })));
    for (const path of [
      root,
      "/",
      "/etc",
      join(root, "allowed-not"),
      `${join(root, "allowed")}/../allowed-not`,
      join(root, "allowed/out"),
      relative(process.cwd(), join(root, "allowed")),
      join(root, "no-such-folder"),
      "/no/such/folder",
    ])
      await expect(at(path), path).rejects.toMatchObject(refused);
    for (const path of [
      join(root, "allowed"),
      join(root, "allowed/inside"),
      join(root, "allowed/inside/.."),
    ])
      expect((await room.ended(await at(path))).state).toBe("succeeded");
    // Local may name any.
    expect((await sync({ path: join(root, "allowed-not") })).state).toBe("succeeded");
  });

  test("a file, and nothing, are no folders", async () => {
    write("a.txt", "text");
    await expect(start({ path: join(root, "a.txt") })).rejects.toMatchObject({
      code: "input_invalid",
      errors: [{ pointer: "/path", message: "is not a folder" }],
    });
    await expect(start({ path: join(root, "nothing") })).rejects.toMatchObject({
      code: "file_missing",
    });
  });
});

test("freshness: current, stale when the file changed or went, current again after a sync", async () => {
  write("a.txt", "The sandpiper runs.");
  write("b.txt", "The sandpiper stops.");
  await sync();
  const states = async () =>
    Object.fromEntries(
      (await find("sandpiper")).map(({ key, freshness }) => [key, freshness.state]),
    );
  expect(await states()).toEqual({ "a.txt": "current", "b.txt": "current" });
  write("a.txt", "The sandpiper runs away.");
  rmSync(join(root, "b.txt"));
  expect(await states()).toEqual({ "a.txt": "stale", "b.txt": "stale" });
  await sync();
  expect(await states()).toEqual({ "a.txt": "current" });

  const touched = new Date(Date.UTC(2020, 1, 1));
  utimesSync(join(root, "a.txt"), touched, touched);
  await sync();
  const { id } = await room.call(documentsGet, { collection, document: "a.txt" });
  const row = await room.app.database.unscoped
    .selectFrom("documents")
    .select("modified_ms")
    .where("id", "=", id)
    .executeTakeFirst();
  expect(row?.modified_ms).toBe(touched.getTime());
});
