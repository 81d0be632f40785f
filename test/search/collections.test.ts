import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collectionsCreate } from "#operations/collections/create.ts";
import { collectionsDelete } from "#operations/collections/delete.ts";
import { collectionsGet } from "#operations/collections/get.ts";
import { collectionsList } from "#operations/collections/list.ts";
import { collectionsUpdate } from "#operations/collections/update.ts";
import { documentsAdd } from "#operations/documents/add.ts";
import { documentsDelete } from "#operations/documents/delete.ts";
import { searchQuery } from "#operations/search/query.ts";
import { spacesGet } from "#operations/spaces/get.ts";
import { trashEmpty } from "#operations/trash/empty.ts";
import { modelFolders, openTestApp, type TestApp } from "../fixtures/rooms/open-test-app.ts";

let room: TestApp;
beforeAll(async () => {
  room = await openTestApp({ "models.static": [modelFolders.standard, modelFolders.tiny] });
});
afterAll(() => room.close());

const create = (name: string, input: object = {}) =>
  room.call(collectionsCreate, { name, ...input });
const add = (collection: string, key: string, content: string, input: object = {}) =>
  room.call(documentsAdd, { collection, key, content, ...input });
const count = async (table: "vectors" | "chunks" | "document_texts" | "grants") =>
  (await room.app.database.unscoped.selectFrom(table).selectAll().execute()).length;

describe("creating", () => {
  test("answers with the defaults of the space, and writes the owner's grant", async () => {
    const made = await create("first", { description: "about it" });
    expect(made).toMatchObject({
      name: "first",
      kind: "document",
      space: { name: "candor-static-256", dims: 256 },
      chunking: { maxTokens: 384, overlapTokens: 48 },
      description: "about it",
      counts: { documents: 0, chunks: 0, vectors: 0, bytes: 0 },
      index: { kind: "exact", state: "ready", generation: 0 },
      right: "owner",
      notices: [],
    });
    const grants = await room.app.database.read
      .selectFrom("grants")
      .selectAll()
      .where("collection_id", "=", made.id)
      .execute();
    expect(grants).toMatchObject([{ principal_id: "local", level: "owner" }]);
    expect(made.id).toMatch(/^col_[0-9A-Z]{26}$/);
  });

  test("takes another space, whose limit bounds its chunks", async () => {
    expect(await create("tiny", { space: "static-16" })).toMatchObject({
      space: { name: "static-16", dims: 16 },
      chunking: { maxTokens: 16, overlapTokens: 4 },
    });
    const tooLarge = create("tiny-large", {
      space: "static-16",
      chunking: { maxTokens: 17, overlapTokens: 0 },
    });
    await expect(tooLarge).rejects.toMatchObject({
      code: "input_invalid",
      errors: [{ pointer: "/chunking/maxTokens", message: "at most 16" }],
    });
    const overlapping = create("overlapping", { chunking: { maxTokens: 32, overlapTokens: 17 } });
    await expect(overlapping).rejects.toMatchObject({
      errors: [{ pointer: "/chunking/overlapTokens", message: "at most 16" }],
    });
    await expect(create("nowhere", { space: "none-such" })).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("a taken name is refused and leaves nothing, also at the same moment", async () => {
    const grants = await count("grants");
    await expect(create("first")).rejects.toMatchObject({
      code: "already_exists",
      errors: [{ pointer: "/name", message: "is taken" }],
    });
    expect(await count("grants")).toBe(grants);
    const both = await Promise.allSettled([create("twice"), create("twice")]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  });

  test.each(["Upper", "-a", "a b", "", "ä", "a".repeat(65), "a/b"])(
    "%j is no name",
    async (name) => {
      await expect(create(name)).rejects.toMatchObject({ code: "input_invalid" });
    },
  );

  test("a name may look like the beginning of an id", async () => {
    const made = await create("col_notes");
    expect((await room.call(collectionsGet, { collection: "col_notes" })).id).toBe(made.id);
    await add("col_notes", "a", "a note about gulls");
    const found = await room.call(searchQuery, { query: "gulls", collections: ["col_notes"] });
    expect(found.items).toHaveLength(1);
  });
});

describe("showing and changing", () => {
  test("by id and by name", async () => {
    const made = await create("shown");
    for (const collection of ["shown", made.id])
      expect((await room.call(collectionsGet, { collection })).id).toBe(made.id);
  });

  test("renames and describes; what is not named stays", async () => {
    const made = await create("before", { description: "text" });
    const change = (input: object) =>
      room.call(collectionsUpdate, { collection: made.id, ...input });
    expect(await change({ name: "after" })).toMatchObject({ name: "after", description: "text" });
    expect(await change({ description: null })).toMatchObject({ name: "after", description: null });
    await expect(change({ name: "first" })).rejects.toMatchObject({ code: "already_exists" });
    await expect(room.call(collectionsGet, { collection: "before" })).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("nothing to change is refused, and changes nothing", async () => {
    const made = await create("unchanged");
    const refused = room.call(collectionsUpdate, { collection: made.id });
    await expect(refused).rejects.toMatchObject({ code: "input_invalid" });
    const now = await room.call(collectionsGet, { collection: made.id });
    expect(now.updatedAt).toBe(made.updatedAt);
  });

  test("the list pages through all, once each", async () => {
    const names: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof list>> = await list(cursor);
      expect(page.items.length).toBeLessThanOrEqual(2);
      names.push(...page.items.map(({ name }) => name));
      cursor = page.nextCursor;
    } while (cursor !== null);
    const all = await room.call(collectionsList, { limit: 100 });
    expect(names).toEqual(all.items.map(({ name }) => name));
    expect(new Set(names).size).toBe(names.length);
    const other = room.call(collectionsList, {
      limit: 3,
      cursor: (await list(null)).nextCursor ?? "",
    });
    await expect(other).rejects.toMatchObject({ code: "cursor_stale" });
  });
  const list = (cursor: string | null) =>
    room.call(collectionsList, { limit: 2, ...(cursor === null ? {} : { cursor }) });

  test("counts are those of the rows", async () => {
    const made = await create("counted");
    await add("counted", "a", "first words of a");
    await add("counted", "b", "first words of a");
    const { unscoped } = room.app.database;
    const documents = await unscoped
      .selectFrom("documents")
      .select(["bytes", "chunk_count"])
      .where("collection_id", "=", made.id)
      .execute();
    const chunks = await unscoped
      .selectFrom("chunks")
      .select("key")
      .where("collection_id", "=", made.id)
      .execute();
    const { counts } = await room.call(collectionsGet, { collection: "counted" });
    expect(counts).toEqual({
      documents: documents.length,
      chunks: chunks.length,
      vectors: 2,
      bytes: documents.reduce((sum, { bytes }) => sum + bytes, 0),
    });
    expect(documents.reduce((sum, row) => sum + row.chunk_count, 0)).toBe(chunks.length);
  });
});

describe("deleting", () => {
  test("a dry run counts what the delete then removes; shared vectors stay for the other collection", async () => {
    await create("one");
    const other = await create("other");
    await add("one", "a", "gannets dive for fish");
    await add("one", "b", "puffins dig burrows");
    await add("other", "c", "gannets dive for fish");
    const before = { vectors: await count("vectors"), embedded: room.embedded() };
    const dry = await room.call(collectionsDelete, { collection: "one", dryRun: true });
    expect(dry).toMatchObject({
      deleted: { documents: 2, chunks: 2, vectors: 1 },
      dependents: [{ type: "job", count: 0 }],
      dryRun: true,
      undo: null,
    });
    expect(await count("vectors")).toBe(before.vectors);
    const done = await room.call(collectionsDelete, { collection: "one" });
    const undo = { until: expect.any(String), trash: expect.stringMatching(/^trs_/) };
    expect(done).toMatchObject({ ...dry, dryRun: false, undo });
    expect(await count("vectors")).toBe(before.vectors);
    await room.call(trashEmpty, { trash: done.undo?.trash ?? "" });
    expect(await count("vectors")).toBe(before.vectors - 1);
    await expect(room.call(collectionsGet, { collection: "one" })).rejects.toMatchObject({
      code: "not_found",
    });
    for (const mode of ["semantic", "keyword", "hybrid"] as const) {
      const found = await room.call(searchQuery, {
        query: "gannets",
        mode,
        collections: ["other"],
      });
      expect(found.items.map(({ key }) => key)).toEqual(["c"]);
    }
    await room.call(documentsDelete, { collection: other.id, document: "c" });
    await room.call(trashEmpty, { all: true });
    expect(await count("vectors")).toBe(before.vectors - 2);
    expect(room.embedded()).toBe(before.embedded + 2);
  });

  test("frees the name at once, and leaves no row once the trash is emptied", async () => {
    const made = await create("gone");
    await add("gone", "a", "terns travel far");
    await room.call(collectionsDelete, { collection: "gone" });
    const again = await create("gone");
    expect(again.id).not.toBe(made.id);
    const found = await room.call(searchQuery, { query: "terns", collections: ["gone"] });
    expect(found.items).toEqual([]);
    await room.call(trashEmpty, { all: true });
    for (const table of ["documents", "document_texts", "chunks", "grants"] as const)
      expect(
        await room.app.database.unscoped
          .selectFrom(table)
          .selectAll()
          .where("collection_id", "=", made.id)
          .execute(),
      ).toEqual([]);
  });

  test("vectors of equal text in two spaces are apart: each goes with its own collection", async () => {
    await create("wide");
    await create("narrow", { space: "static-16" });
    await add("wide", "a", "cat");
    const before = await room.call(spacesGet, { space: "static-16" });
    await add("narrow", "a", "cat");
    expect((await room.call(spacesGet, { space: "static-16" })).vectors).toBe(before.vectors + 1);
    await room.call(documentsDelete, { collection: "narrow", document: "a" });
    expect((await room.call(spacesGet, { space: "static-16" })).vectors).toBe(before.vectors);
    const found = await room.call(searchQuery, {
      query: "cat",
      mode: "semantic",
      collections: ["wide"],
    });
    expect(found.items).toHaveLength(1);
  });
});
