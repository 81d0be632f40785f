import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import type { z } from "zod";
import { type Principal } from "#base/access/index.ts";
import { collectionsCreate } from "#operations/collections/create.ts";
import { collectionsDelete } from "#operations/collections/delete.ts";
import { collectionsGet } from "#operations/collections/get.ts";
import { documentsAdd } from "#operations/documents/add.ts";
import { trashEmpty } from "#operations/trash/empty.ts";
import { trashList } from "#operations/trash/list.ts";
import { openTestApp, type TestApp } from "../fixtures/rooms/open-test-app.ts";
import { keyPrincipal } from "../fixtures/rooms/principals.ts";
import { contentTables, entryOf, openTrashRoom, rowsOf, trashTables } from "./trash-room.ts";

let opened: Awaited<ReturnType<typeof openTrashRoom>>;
beforeAll(async () => {
  opened = await openTrashRoom();
});
afterAll(() => opened.room.close());
afterEach(() => vi.useRealTimers());

describe("who sees and restores", () => {
  const owner = keyPrincipal("owner");
  const writer = keyPrincipal("writer");
  const reader = keyPrincipal("reader");
  const stranger = keyPrincipal("stranger");

  test("is who has the right for it; to others it is not there", async () => {
    const { room, restore, trash, dropDocument, dropCollection } = opened;
    const { id } = await room.call(collectionsCreate, { name: "private" }, owner);
    await room.grant(writer, id, "write");
    await room.grant(reader, id, "read");
    await room.call(documentsAdd, { collection: id, key: "a", content: "an egret" }, owner);
    const document = await dropDocument(id, "a", owner);
    expect(await trash(owner)).toMatchObject([{ id: document, deletedBy: owner.id }]);
    expect(await trash(writer)).toMatchObject([{ id: document, deletedBy: null }]);
    for (const by of [reader, stranger]) expect(await trash(by)).toEqual([]);
    const collection = await dropCollection(id, owner);
    expect((await trash(owner)).map((entry) => entry.id)).toEqual([collection, document]);
    expect((await trash(writer)).map((entry) => entry.id)).toEqual([document]);
    const admin = keyPrincipal("boss", "admin");
    expect((await trash(admin)).map((entry) => entry.id)).toEqual(
      expect.arrayContaining([collection, document]),
    );

    const probes: [string, Principal][] = [
      [collection, writer],
      [collection, reader],
      [collection, stranger],
      [document, reader],
      [document, stranger],
    ];
    for (const [entry, by] of probes)
      for (const ask of [
        (named: string) => restore(named, {}, by),
        (named: string) => room.call(trashEmpty, { trash: named }, by),
        (named: string) => room.call(trashEmpty, { trash: named, dryRun: true }, by),
      ]) {
        const told = async (named: string) => {
          const error = await ask(named).catch((thrown: unknown) => thrown);
          const { code, status, message } = error as {
            code: string;
            status: number;
            message: string;
          };
          return { code, status, message: message.replaceAll(named, "NAME") };
        };
        const forbidden = await told(entry);
        expect(forbidden).toEqual(await told(`${entry.slice(0, -3)}000`));
        expect(forbidden).toMatchObject({ code: "not_found", status: 404 });
      }
    const nothing = { entries: 0, documents: 0, chunks: 0, vectors: 0, bytes: 0 };
    for (const by of [reader, stranger])
      expect(await room.call(trashEmpty, { all: true }, by)).toMatchObject({ emptied: nothing });
    expect(await trash(owner)).toHaveLength(2);
    await restore(collection, {}, owner);
    await restore(document, {}, writer);
    expect(await trash(owner)).toEqual([]);
  });

  test("pages through all, newest first, once each", async () => {
    const { room, dropDocument } = opened;
    await room.call(collectionsCreate, { name: "pages" }, owner);
    const dropped: string[] = [];
    for (let number = 0; number < 5; number += 1) {
      await room.call(
        documentsAdd,
        { collection: "pages", key: `${number}`, content: `w${number}` },
        owner,
      );
      dropped.unshift(await dropDocument("pages", `${number}`, owner));
    }
    const seen: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const input: z.input<typeof trashList.input> = { limit: 2, ...(cursor ? { cursor } : {}) };
      const page = await room.call(trashList, input, owner);
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.nextCursor;
    }
    expect(seen).toEqual(dropped);
    await room.call(trashEmpty, { all: true }, owner);
  });
});

describe("emptying", () => {
  test("says before what then goes, and takes nothing that another one names", async () => {
    const { room, create, add, restore, trash, dropDocument, dropCollection, content, found } =
      opened;
    const all = await room.call(trashEmpty, { all: true });
    expect(all.emptied.entries).toBe(0);
    await create("left");
    const right = await create("right");
    await add("left", "shared", "curlews call at dusk");
    await add("right", "shared", "curlews call at dusk");
    await add("right", "own", "whimbrels call at dawn");
    await add("right", "loose", "sanderlings run at noon");
    const before = await content();
    const loose = await dropDocument("right", "loose");
    const collection = await dropCollection("right");
    for (const input of [{}, { all: true, trash: loose }])
      await expect(room.call(trashEmpty, input)).rejects.toMatchObject({
        code: "input_invalid",
        errors: [{ pointer: "/trash" }, { pointer: "/before" }, { pointer: "/all" }],
      });
    const one = await room.call(trashEmpty, { trash: collection, dryRun: true });
    // The collection takes along what was deleted inside it before.
    expect(one).toMatchObject({
      emptied: { entries: 2, documents: 3, chunks: 3, vectors: 2 },
      dryRun: true,
      undo: null,
    });
    const none = await room.call(trashEmpty, { before: "2020-01-01T00:00:00Z", dryRun: true });
    expect(none.emptied.entries).toBe(0);
    const later = new Date(Date.now() + 1000).toISOString();
    expect(await room.call(trashEmpty, { before: later, dryRun: true })).toMatchObject({
      emptied: one.emptied,
    });
    expect((await content()).vectors).toEqual(before.vectors);

    const done = await room.call(trashEmpty, { trash: collection });
    expect(done).toMatchObject({ emptied: one.emptied, dryRun: false, undo: null });
    expect(await trash()).toEqual([]);
    for (const table of trashTables) expect(await rowsOf(table, room)).toEqual([]);
    const after = await content();
    expect(before.vectors.length - after.vectors.length).toBe(2);
    for (const table of ["documents", "document_texts", "chunks", "grants", "collections"] as const)
      expect((await rowsOf(table, room)).filter((row) => row.includes(right.id))).toEqual([]);
    const names = await room.app.database.unscoped.introspection.getTables();
    const words = names.filter(({ name }) => name.includes(right.id.toLowerCase()));
    expect(words).toEqual([]);
    expect((await found("left", "curlews")).map(({ items }) => items.length)).toEqual([1, 1, 1]);
    for (const gone of [collection, loose])
      await expect(restore(gone)).rejects.toMatchObject({ code: "not_found" });
  });

  test("leaves a vector that another entry of the trash names", async () => {
    const { room, create, add, dropDocument, content } = opened;
    await create("pair");
    await add("pair", "a", "stints run along the edge");
    await add("pair", "b", "stints run along the edge");
    const vectors = (await content()).vectors.length;
    const [a, b] = [await dropDocument("pair", "a"), await dropDocument("pair", "b")];
    const first = await room.call(trashEmpty, { trash: a });
    expect(first.emptied).toMatchObject({ entries: 1, chunks: 1, vectors: 0 });
    expect((await content()).vectors.length).toBe(vectors);
    const second = await room.call(trashEmpty, { trash: b, dryRun: true });
    expect(second.emptied).toMatchObject({ entries: 1, chunks: 1, vectors: 1 });
    await room.call(trashEmpty, { trash: b });
    expect((await content()).vectors.length).toBe(vectors - 1);
  });

  test("takes a collection with many chunks apart in steps, and all of it", async () => {
    const { room, add, dropCollection, content } = opened;
    const chunking = { maxTokens: 16, overlapTokens: 0 };
    const { id } = await room.call(collectionsCreate, { name: "many", chunking });
    const sentence = (number: number) =>
      `The number ${number} stands alone and says little of itself.`;
    for (let from = 0; from < 500; from += 100)
      await add(
        "many",
        `${from}`,
        Array.from({ length: 100 }, (_, n) => sentence(from + n)).join("\n\n"),
      );
    const { counts } = await room.call(collectionsGet, { collection: "many" });
    expect(counts.chunks).toBeGreaterThan(450);
    const before = (await content()).vectors.length;
    const entry = await dropCollection("many");
    const { emptied } = await room.call(trashEmpty, { trash: entry });
    expect(emptied).toMatchObject({ entries: 1, ...counts });
    expect((await content()).vectors.length).toBe(before - counts.vectors);
    expect((await rowsOf("chunks", room)).filter((row) => row.includes(id))).toEqual([]);
  });
});

describe("time", () => {
  const day = 86_400_000;
  const patient = { timeout: 30_000 };

  test("what lies there for too long goes, and what does not stays", async () => {
    const { room, create, add, restore, trash, dropDocument, content, found } = opened;
    vi.useFakeTimers({ toFake: ["Date"] });
    const start = Date.now();
    await create("timed");
    for (const key of ["old", "new"]) await add("timed", key, `a ${key} lapwing`);
    const before = await content();
    const old = await dropDocument("timed", "old");
    await room.app.configuration.set({ "storage.trashDays": 9 });
    onTestFinished(() => void room.app.configuration.set({ "storage.trashDays": null }));
    vi.setSystemTime(start + 2 * day);
    const fresh = await dropDocument("timed", "new");

    vi.setSystemTime(start + 7 * day - 1);
    expect((await room.app.search.trash.sweep()).entries).toBe(0);
    expect((await trash()).map(({ id }) => id)).toEqual([fresh, old]);
    vi.setSystemTime(start + 7 * day + 1000);
    // Gone for callers at its moment, not only when it is swept.
    expect((await trash()).map(({ id }) => id)).toEqual([fresh]);
    await expect(restore(old)).rejects.toMatchObject({ code: "not_found" });
    const due = await room.app.search.trash.sweep(true);
    expect(due).toMatchObject({ entries: 1, documents: 1, chunks: 1, vectors: 1 });
    const counted = room.app.search.trash.status().purged.entries;
    expect(await room.app.search.trash.sweep()).toEqual(due);
    expect(room.app.search.trash.status()).toMatchObject({
      sweptAt: new Date().toISOString(),
      purged: { entries: counted + 1 },
    });
    expect(before.vectors.length - (await content()).vectors.length).toBe(1);
    vi.setSystemTime(start + 11 * day - 1000);
    await restore(fresh);
    vi.useRealTimers();
    expect((await found("timed", "new lapwing")).map(({ items }) => items.length)).toEqual([
      1, 1, 1,
    ]);
  });

  test(
    "is looked at on start and every hour; what a process left half removed goes too",
    { timeout: 60_000 },
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "candor-trash-"));
      const first = await openTestApp({}, folder);
      const call: TestApp["call"] = (...asked) => first.call(...asked);
      await call(collectionsCreate, { name: "one" });
      await call(collectionsCreate, { name: "two" });
      await call(documentsAdd, { collection: "one", key: "a", content: "a plover" });
      await call(documentsAdd, { collection: "two", key: "a", content: "a dunlin" });
      const left = entryOf(await call(collectionsDelete, { collection: "one" }));
      // As if the process had ended right behind the transaction that decided.
      await first.app.database.write(({ tables }) =>
        tables.updateTable("trash_entries").set({ purging: 1 }).where("id", "=", left).execute(),
      );
      expect((await call(trashList, {})).items).toEqual([]);
      await first.app.close();

      vi.useFakeTimers({ toFake: ["Date", "setInterval", "clearInterval"] });
      const second = await openTestApp({}, folder);
      onTestFinished(() => second.close());
      await expect.poll(() => second.app.search.trash.status().sweptAt, patient).not.toBeNull();
      expect(second.app.search.trash.status().purged).toMatchObject({ entries: 1, vectors: 1 });
      expect(await rowsOf("collections", second)).toHaveLength(1);
      await second.call(collectionsDelete, { collection: "two" });
      vi.advanceTimersByTime(3_600_000);
      await expect
        .poll(() => second.app.search.trash.status().sweptAt, patient)
        .toBe(new Date().toISOString());
      expect(await rowsOf("collections", second)).toHaveLength(1);
      vi.setSystemTime(Date.now() + 8 * day);
      vi.advanceTimersByTime(3_600_000);
      await expect.poll(() => rowsOf("collections", second), patient).toEqual([]);
      for (const table of [...trashTables, ...contentTables])
        expect(await rowsOf(table, second)).toEqual([]);
    },
  );
});
