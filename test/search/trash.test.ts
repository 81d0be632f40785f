import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { localPrincipal } from "#base/access/index.ts";
import { collectionsDelete } from "#operations/collections/delete.ts";
import { collectionsGet } from "#operations/collections/get.ts";
import { collectionsList } from "#operations/collections/list.ts";
import { collectionsSync } from "#operations/collections/sync.ts";
import { collectionsUpdate } from "#operations/collections/update.ts";
import { documentsDelete } from "#operations/documents/delete.ts";
import { documentsGet } from "#operations/documents/get.ts";
import { documentsList } from "#operations/documents/list.ts";
import { documentsRead } from "#operations/documents/read.ts";
import { searchExplain } from "#operations/search/explain.ts";
import { searchQuery } from "#operations/search/query.ts";
import { spacesGet } from "#operations/spaces/get.ts";
import { keyPrincipal } from "../fixtures/rooms/principals.ts";
import { contentTables, entryOf, modes, openTrashRoom, rowsOf, trashTables } from "./trash-room.ts";

let opened: Awaited<ReturnType<typeof openTrashRoom>>;
beforeAll(async () => {
  opened = await openTrashRoom();
});
afterAll(() => opened.room.close());

test("the trash has every column that documents, texts and chunks have", async () => {
  const { room } = opened;
  const columns = async (table: string) => {
    const tables = await room.app.database.unscoped.introspection.getTables();
    const one = tables.find(({ name }) => name === table);
    return (one?.columns ?? []).map(({ name }) => name).toSorted();
  };
  expect(await columns("trashed_documents")).toEqual(
    [...(await columns("documents")), "trash_id"].toSorted(),
  );
  expect(await columns("trashed_texts")).toEqual(await columns("document_texts"));
  expect(await columns("trashed_chunks")).toEqual(await columns("chunks"));
});

describe("a deleted document", () => {
  const text = `# Gulls\n\n${"Gulls nest on the cliff. ".repeat(40)}\n\n# Terns\n\n${"Terns travel far. ".repeat(60)}`;

  test("is nowhere, and comes back as it was without any model", async () => {
    const { room, create, add, restore, trash, content, found } = opened;
    await create("birds");
    const metadata = { team: "shore", year: 3 };
    const { document } = await add("birds", "gulls.md", text, { metadata, title: "Gulls" });
    await add("birds", "other", "Gannets and gulls dive.");
    const shown = await room.call(documentsGet, {
      collection: "birds",
      document: "gulls.md",
      includeChunks: true,
    });
    const before = {
      rows: await content(),
      hits: await found("birds", "where do gulls nest"),
      collection: await room.call(collectionsGet, { collection: "birds" }),
      space: await room.call(spacesGet, { space: "candor-static-256" }),
    };
    const explained = before.hits[2]?.items[0]?.chunk ?? "";

    const dry = await room.call(documentsDelete, {
      collection: "birds",
      document: "gulls.md",
      dryRun: true,
    });
    expect(dry).toMatchObject({ dryRun: true, undo: null, deleted: { documents: 1 } });
    expect(await trash()).toEqual([]);
    const began = Date.now();
    const done = await room.call(documentsDelete, { collection: "birds", document: "gulls.md" });
    expect(done.deleted).toEqual(dry.deleted);
    expect(done.dryRun).toBe(false);
    const until = Date.parse(done.undo?.until ?? "");
    expect(until - began).toBeGreaterThanOrEqual(7 * 86_400_000);
    expect(until - Date.now()).toBeLessThanOrEqual(7 * 86_400_000);

    const after = await room.call(collectionsGet, { collection: "birds" });
    expect(after.counts).toMatchObject({ documents: 1, chunks: 1 });
    expect(after.counts.bytes).toBe(before.collection.counts.bytes - done.deleted.bytes);
    const space = await room.call(spacesGet, { space: "candor-static-256" });
    expect(space.vectors).toBe(before.space.vectors - done.deleted.vectors);
    const listed = await room.call(documentsList, { collection: "birds" });
    expect(listed.items.map(({ key }) => key)).toEqual(["other"]);
    for (const gone of ["gulls.md", document.id]) {
      const asked = { collection: "birds", document: gone };
      await expect(room.call(documentsGet, asked)).rejects.toMatchObject({ code: "not_found" });
      await expect(room.call(documentsRead, asked)).rejects.toMatchObject({ code: "not_found" });
    }
    await expect(
      room.call(searchExplain, { query: "gulls", chunk: explained }),
    ).rejects.toMatchObject({ code: "not_found" });
    for (const { items, searched } of await found("birds", "where do gulls nest")) {
      expect(items.every((hit) => hit.document !== document.id)).toBe(true);
      expect(searched).toMatchObject({ documents: 1, chunks: 1 });
    }

    const [entry] = await trash();
    expect(entry).toEqual({
      id: entryOf(done),
      kind: "document",
      thing: document.id,
      name: "gulls.md",
      collection: { id: after.id, name: "birds", inTrash: false },
      counts: done.deleted,
      deletedBy: "local",
      deletedAt: expect.any(String),
      until: done.undo?.until,
    });

    const embedded = room.embedded();
    const restored = await restore(entryOf(done));
    expect(restored).toMatchObject({
      kind: "document",
      id: document.id,
      name: "gulls.md",
      collection: { id: after.id, name: "birds" },
      counts: done.deleted,
    });
    expect(room.embedded()).toBe(embedded);
    const rows = await content();
    for (const table of contentTables)
      expect(rows[table].toSorted()).toEqual(before.rows[table].toSorted());
    expect(await found("birds", "where do gulls nest")).toEqual(before.hits);
    expect(
      await room.call(documentsGet, {
        collection: "birds",
        document: "gulls.md",
        includeChunks: true,
      }),
    ).toEqual({ ...shown });
    for (const table of trashTables) expect(await rowsOf(table, room)).toEqual([]);
    await expect(restore(entryOf(done))).rejects.toMatchObject({ code: "not_found" });
  });

  test("keeps its vectors when the last document in sight with the same text goes", async () => {
    const { room, create, add, restore, dropDocument, found } = opened;
    await create("equal");
    await add("equal", "a", "knots gather in the bay");
    await add("equal", "b", "knots gather in the bay");
    const entry = await dropDocument("equal", "a");
    await add("equal", "b", "oystercatchers open mussels");
    const embedded = room.embedded();
    await restore(entry);
    expect(room.embedded()).toBe(embedded);
    const [semantic] = await found("equal", "knots in the bay");
    expect(semantic?.items.map(({ key }) => key)).toEqual(["a", "b"]);
  });

  test("that was replaced leaves nothing in the trash", async () => {
    const { add, trash } = opened;
    await add("birds", "replaced", "first words");
    await add("birds", "replaced", "second words");
    expect(await trash()).toEqual([]);
  });

  test("whose key is taken meanwhile waits for another one", async () => {
    const { create, add, restore, dropDocument, content, found } = opened;
    await create("keys");
    await add("keys", "a", "the first of its name");
    const entry = await dropDocument("keys", "a");
    await add("keys", "a", "the second of its name");
    const rows = await content();
    await expect(restore(entry)).rejects.toMatchObject({
      code: "already_exists",
      status: 409,
      errors: [{ pointer: "/key", message: "is taken" }],
      nextStep: { text: expect.stringContaining("`key`") },
    });
    expect(await content()).toEqual(rows);
    await expect(restore(entry, { name: "b" })).rejects.toMatchObject({
      code: "input_invalid",
      errors: [{ pointer: "/name" }],
    });
    expect(await restore(entry, { key: "b" })).toMatchObject({ name: "b" });
    for (const query of ["first", "second"])
      for (const { items } of await found("keys", query))
        expect(items[0]?.key).toBe(query === "first" ? "b" : "a");
    // The words of its key are those of the new one.
    const [, byKey] = await found("keys", "b");
    expect(byKey?.items.map(({ key }) => key)).toEqual(["b"]);
  });

  test("of a collection in the trash waits for the collection", async () => {
    const { room, create, add, restore, trash, dropDocument, dropCollection, found } = opened;
    const { id } = await create("inner");
    await add("inner", "a", "a storm petrel");
    const owner = keyPrincipal("inner-owner");
    const writer = keyPrincipal("inner-writer");
    await room.grant(owner, id, "owner");
    await room.grant(writer, id, "write");
    const document = await dropDocument("inner", "a", writer);
    const collection = await dropCollection("inner", owner);
    expect(await trash(writer)).toMatchObject([
      { id: document, collection: { id, name: "inner", inTrash: true } },
    ]);
    await expect(restore(document, {}, owner)).rejects.toMatchObject({
      code: "collection_in_trash",
      status: 409,
      nextStep: { operation: "trash.restore", input: { trash: collection } },
    });
    const refusal = await restore(document, {}, writer).catch((thrown: unknown) => thrown);
    expect(refusal).toMatchObject({ code: "collection_in_trash" });
    expect(JSON.stringify(refusal)).not.toContain(collection);
    await restore(collection, {}, owner);
    await restore(document, {}, writer);
    expect((await found("inner", "petrel")).map(({ items }) => items.length)).toEqual([1, 1, 1]);
  });

  test("that a sync removed comes back, and another key takes it out of the folder's hands", async () => {
    const { room, create, restore, trash, content } = opened;
    const folder = mkdtempSync(join(tmpdir(), "candor-trash-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    mkdirSync(join(folder, "notes"));
    writeFileSync(join(folder, "notes", "a.md"), "# Skuas\n\nSkuas chase others.");
    writeFileSync(join(folder, "notes", "b.md"), "# Auks\n\nAuks swim well.");
    await create("synced");
    const sync = async () => {
      const { job } = await room.call(collectionsSync, { collection: "synced", path: folder });
      return (await room.ended(job)).result as { removed: number; added: number };
    };
    expect(await sync()).toMatchObject({ added: 2 });
    const before = await content();
    rmSync(join(folder, "notes", "a.md"));
    expect(await sync()).toMatchObject({ removed: 1 });
    const [entry] = await trash();
    expect(entry).toMatchObject({ kind: "document", name: "notes/a.md", deletedBy: "local" });
    await restore(entry?.id ?? "");
    expect((await content()).documents.toSorted()).toEqual(before.documents.toSorted());
    expect(await sync()).toMatchObject({ removed: 1 });
    const [again] = await trash();
    await restore(again?.id ?? "", { key: "kept/a.md" });
    expect(await sync()).toMatchObject({ removed: 0, added: 0 });
    const kept = await room.call(documentsList, { collection: "synced" });
    expect(kept.items.map(({ key }) => key)).toEqual(["kept/a.md", "notes/b.md"]);
  });
});

describe("a deleted collection", () => {
  test("is nowhere, and comes back with its documents, rights and results without any model", async () => {
    const { room, create, add, restore, content, found } = opened;
    const made = await create("harbour");
    await room.call(collectionsUpdate, { collection: "harbour", description: "ships" });
    const reader = keyPrincipal("harbour-reader", "read_only");
    await room.grant(reader, made.id, "read");
    for (let number = 0; number < 12; number += 1)
      await add("harbour", `${number}.md`, `# Ship ${number}\n\nA schooner with ${number} masts.`);
    const before = {
      rows: await content(),
      hits: await found("harbour", "a schooner with masts"),
      collection: await room.call(collectionsGet, { collection: "harbour" }, reader),
      space: await room.call(spacesGet, { space: "candor-static-256" }),
    };
    const chunk = before.hits[0]?.items[0]?.chunk ?? "";
    const dry = await room.call(collectionsDelete, { collection: "harbour", dryRun: true });
    const done = await room.call(collectionsDelete, { collection: "harbour" });
    expect(done).toMatchObject({
      deleted: { documents: 12, chunks: 12, vectors: 12 },
      dryRun: false,
    });
    expect(done.deleted).toEqual(dry.deleted);

    for (const named of ["harbour", made.id])
      for (const by of [localPrincipal, reader]) {
        const refused = [
          room.call(collectionsGet, { collection: named }, by),
          room.call(documentsList, { collection: named }, by),
          room.call(searchQuery, { query: "schooner", collections: [named] }, by),
          room.call(searchExplain, { query: "schooner", chunk }, by),
        ];
        for (const each of refused) await expect(each).rejects.toMatchObject({ code: "not_found" });
      }
    await expect(add(made.id, "late", "too late")).rejects.toMatchObject({ code: "not_found" });
    for (const by of [localPrincipal, reader]) {
      const { items } = await room.call(collectionsList, { limit: 100 }, by);
      expect(items.map(({ id }) => id)).not.toContain(made.id);
      for (const mode of modes) {
        const everywhere = await room.call(searchQuery, { query: "schooner masts", mode }, by);
        expect(everywhere.items.every(({ collection }) => collection !== made.id)).toBe(true);
      }
    }
    const space = await room.call(spacesGet, { space: "candor-static-256" });
    expect(space).toMatchObject({
      vectors: before.space.vectors - 12,
      collections: before.space.collections - 1,
    });

    const embedded = room.embedded();
    expect(await restore(entryOf(done))).toMatchObject({ kind: "collection", id: made.id });
    expect(room.embedded()).toBe(embedded);
    expect(await content()).toEqual(before.rows);
    expect(await found("harbour", "a schooner with masts")).toEqual(before.hits);
    expect(await room.call(collectionsGet, { collection: "harbour" }, reader)).toEqual(
      before.collection,
    );
  });

  test("whose name is taken meanwhile waits for another one", async () => {
    const { create, add, restore, dropCollection, found } = opened;
    const first = await create("twin");
    await add("twin", "a", "the first twin");
    const entry = await dropCollection("twin");
    await create("twin");
    await expect(restore(entry)).rejects.toMatchObject({
      code: "already_exists",
      errors: [{ pointer: "/name", message: "is taken" }],
      nextStep: { text: expect.stringContaining("`name`") },
    });
    await expect(restore(entry, { key: "x" })).rejects.toMatchObject({
      code: "input_invalid",
      errors: [{ pointer: "/key" }],
    });
    expect(await restore(entry, { name: "elder" })).toMatchObject({ id: first.id, name: "elder" });
    expect((await found("elder", "first twin")).map(({ items }) => items.length)).toEqual([
      1, 1, 1,
    ]);
  });

  test("is deleted and restored once, however many ask at the same moment", async () => {
    const { room, create, add, restore, trash, found } = opened;
    await create("raced");
    await add("raced", "a", "an avocet");
    const drops = await Promise.allSettled(
      [1, 2, 3].map(() => room.call(collectionsDelete, { collection: "raced" })),
    );
    expect(drops.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const [entry] = await trash();
    const id = entry?.id ?? "";
    const restores = await Promise.allSettled([restore(id), restore(id), restore(id)]);
    expect(restores.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await found("raced", "avocet")).map(({ items }) => items.length)).toEqual([1, 1, 1]);
  });
});
