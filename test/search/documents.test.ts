import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collectionsCreate } from "#operations/collections/create.ts";
import { collectionsGet } from "#operations/collections/get.ts";
import { documentsAdd } from "#operations/documents/add.ts";
import { documentsDelete } from "#operations/documents/delete.ts";
import { documentsGet } from "#operations/documents/get.ts";
import { documentsList } from "#operations/documents/list.ts";
import { documentsRead } from "#operations/documents/read.ts";
import { searchQuery } from "#operations/search/query.ts";
import { trashEmpty } from "#operations/trash/empty.ts";
import { openTestApp, type TestApp } from "../fixtures/rooms/open-test-app.ts";

let room: TestApp;
beforeAll(async () => {
  room = await openTestApp();
  await room.call(collectionsCreate, { name: "notes" });
});
afterAll(() => room.close());

const collection = "notes";
const add = (input: object) => room.call(documentsAdd, { collection, ...input });
const get = (document: string, includeChunks = false) =>
  room.call(documentsGet, { collection, document, includeChunks });
const read = (document: string, range: object = {}) =>
  room.call(documentsRead, { collection, document, ...range });
const find = async (query: string, mode: "keyword" | "semantic" = "keyword") =>
  (await room.call(searchQuery, { query, mode, collections: [collection], limit: 100 })).items;
const rows = async (table: "documents" | "chunks" | "document_texts" | "vectors") =>
  (await room.app.database.unscoped.selectFrom(table).selectAll().execute()).length;

describe("adding", () => {
  test("a text becomes chunks that are found, with what was said of it", async () => {
    const added = await add({
      key: "birds/gannet.md",
      content: "# The gannet\n\nIt dives from forty metres.",
      metadata: { kind: "bird", tags: ["sea"] },
    });
    expect(added).toMatchObject({
      outcome: "added",
      chunks: 1,
      document: {
        key: "birds/gannet.md",
        title: "The gannet",
        mediaType: "text/markdown",
        source: { kind: "text" },
        metadata: { kind: "bird", tags: ["sea"] },
        bytes: 41,
        freshness: { state: "current" },
      },
    });
    expect((await find("dives"))[0]).toMatchObject({ document: added.document.id });
  });

  test("the same again is unchanged and embeds nothing", async () => {
    const input = { key: "same", content: "the same content", metadata: { a: 1 } };
    const first = await add(input);
    const before = room.embedded();
    const { generation } = (await room.call(collectionsGet, { collection })).index;
    for (const again of [
      input,
      { ...input, mediaType: "text/plain" },
      { ...input, mediaType: "Text/Plain; charset=UTF-8" },
      { ...input, mediaType: "application/octet-stream" },
    ])
      expect(await add(again)).toMatchObject({
        outcome: "unchanged",
        document: { id: first.document.id },
      });
    expect(room.embedded()).toBe(before);
    expect((await room.call(collectionsGet, { collection })).index.generation).toBe(generation);
  });

  test("other content, title, metadata or media type replaces; the id stays and nothing old is left", async () => {
    const first = await add({ key: "changing", content: "an old albatross" });
    const counts = {
      documents: await rows("documents"),
      chunks: await rows("chunks"),
      vectors: await rows("vectors"),
    };
    const changes = [
      { content: "a new pelican" },
      { content: "a new pelican", title: "Pelicans" },
      { content: "a new pelican", title: "Pelicans", metadata: { a: 1 } },
      {
        content: "a new pelican",
        title: "Pelicans",
        metadata: { a: 1 },
        mediaType: "text/markdown",
      },
    ];
    for (const change of changes) {
      const replaced = await add({ key: "changing", ...change });
      expect(replaced).toMatchObject({ outcome: "replaced", document: { id: first.document.id } });
    }
    expect(await find("albatross")).toEqual([]);
    expect(
      (await find("albatross", "semantic")).every(({ snippet }) => !snippet.includes("albatross")),
    ).toBe(true);
    expect(await find("pelican")).toHaveLength(1);
    expect({
      documents: await rows("documents"),
      chunks: await rows("chunks"),
      vectors: await rows("vectors"),
    }).toEqual(counts);
  });

  test("a file is an upload under its name, read by its bytes", async () => {
    const file = {
      bytes: Buffer.from("\ufeffFrançais, naïf", "utf16le"),
      name: "accents.txt",
      mediaType: null,
    };
    const added = await add({ file });
    expect(added.document).toMatchObject({ key: "accents.txt", source: { kind: "upload" } });
    expect((await read("accents.txt")).text).toBe("Français, naïf");
    const latin = {
      bytes: Buffer.from("caf\xe9", "latin1"),
      name: "latin.txt",
      mediaType: "text/plain; charset=windows-1252",
    };
    expect((await add({ file: latin })).outcome).toBe("added");
    expect((await read("latin.txt")).text).toBe("café");
  });

  test("without a key the text's own hash is it: the same text is one document", async () => {
    const first = await add({ content: "no key at all" });
    expect(first.document.key).toMatch(/^text-[0-9a-f]{16}$/);
    expect((await add({ content: "no key at all" })).outcome).toBe("unchanged");
  });

  test("two at the same moment under one key are one document", async () => {
    const both = await Promise.all(
      ["one osprey", "two ospreys"].map((content) => add({ key: "racing", content })),
    );
    expect(both.map(({ outcome }) => outcome).toSorted()).toEqual(["added", "replaced"]);
    expect(new Set(both.map(({ document }) => document.id)).size).toBe(1);
    expect(await find("ospreys")).toHaveLength(1);
  });

  const refusals: [string, object, string][] = [
    ["nothing", {}, "input_invalid"],
    [
      "text and file",
      { content: "a", file: { bytes: Buffer.from("a"), name: "a", mediaType: null } },
      "input_invalid",
    ],
    ["a blank text", { content: " \n\t " }, "document_empty"],
    ["a NUL", { content: "a\0b" }, "format_unsupported"],
    ["JSON that is none", { key: "a.json", content: "{" }, "format_invalid"],
    [
      "bytes that are no UTF-8",
      { file: { bytes: Buffer.from([0x61, 0xff, 0xfe, 0x62]), name: "a.txt", mediaType: null } },
      "encoding_invalid",
    ],
    [
      "a picture",
      {
        file: {
          bytes: Buffer.from("\x89PNG\r\n\x1a\n\0\0", "latin1"),
          name: "a.png",
          mediaType: null,
        },
      },
      "format_unsupported",
    ],
    [
      "an unknown media type",
      { content: "a", mediaType: "application/x-nothing" },
      "format_unsupported",
    ],
    [
      "more than 10 MB",
      { file: { bytes: Buffer.alloc(10_000_001, "a"), name: "a.txt", mediaType: null } },
      "document_too_large",
    ],
    ["large metadata", { content: "a", metadata: { a: "x".repeat(17_000) } }, "input_invalid"],
    ["a key with a line break", { content: "a", key: "a\nb" }, "input_invalid"],
    ["a long key", { content: "a", key: "a".repeat(513) }, "input_invalid"],
    [
      "a file name with a NUL",
      { file: { bytes: Buffer.from("a"), name: "a\0b", mediaType: null } },
      "input_invalid",
    ],
    [
      "a file without a name",
      { file: { bytes: Buffer.from("a"), name: "", mediaType: null } },
      "input_invalid",
    ],
    [
      "a file with a long name",
      { file: { bytes: Buffer.from("a"), name: "a".repeat(600), mediaType: null } },
      "input_invalid",
    ],
  ];
  test.each(refusals)("%s is refused and leaves nothing", async (_what, input, code) => {
    const before = [await rows("documents"), await rows("chunks"), await rows("vectors")];
    await expect(add(input)).rejects.toMatchObject({ code });
    expect([await rows("documents"), await rows("chunks"), await rows("vectors")]).toEqual(before);
  });

  test("a caller who went away leaves nothing", async () => {
    const before = await rows("documents");
    const gone = room.call(
      documentsAdd,
      { collection, content: "too late" },
      undefined,
      AbortSignal.abort(),
    );
    await expect(gone).rejects.toMatchObject({ code: "cancelled" });
    expect(await rows("documents")).toBe(before);
  });
});

describe("showing", () => {
  test("by id and key; with chunks when asked, in order and where they stand", async () => {
    const content = Array.from(
      { length: 40 },
      (_, index) => `## Part ${index}\n\n${`Sentence ${index}. `.repeat(40)}`,
    ).join("\n\n");
    const { document, chunks } = await add({ key: "long.md", content });
    expect(chunks).toBeGreaterThan(5);
    expect((await get(document.id)).chunks).toBe(chunks);
    const shown = await get("long.md", true);
    if (typeof shown.chunks === "number") throw new Error("no chunks");
    expect(shown.chunks).toHaveLength(chunks);
    let end = 0;
    for (const { text, location } of shown.chunks) {
      const { from, to } = location.characters;
      expect(content.slice(from, to)).toBe(text);
      expect(content.slice(end, from).trim()).toBe("");
      end = Math.max(end, to);
    }
    expect(content.slice(end).trim()).toBe("");
  });

  test("an id wins over a key that looks like it", async () => {
    const { document } = await add({ key: "real", content: "the real one" });
    const { document: other } = await add({
      key: document.id,
      content: "a key that looks like an id",
    });
    expect((await get(document.id)).id).toBe(document.id);
    expect((await read(document.id)).text).toBe("the real one");
    await room.call(documentsDelete, { collection, document: document.id });
    expect((await get(document.id)).id).toBe(other.id);
  });

  test("text is read whole and by ranges of UTF-16 characters", async () => {
    const text = "a😀b\r\nçd";
    await add({ key: "range", content: text });
    expect(await read("range")).toMatchObject({ text, from: 0, to: 8, characters: 8 });
    for (const [from, to] of [
      [0, 1],
      [1, 3],
      [3, 8],
      [0, 0],
      [8, 8],
      [5, 100],
    ] as const)
      expect(await read("range", { from, to })).toMatchObject({
        text: text.slice(from, to),
        from,
        to: Math.min(to, 8),
      });
    expect((await read("range", { from: 6 })).text).toBe("çd");
    expect((await read("range", { to: 1 })).text).toBe("a");
    await expect(read("range", { from: 9 })).rejects.toMatchObject({
      code: "input_invalid",
      errors: [{ pointer: "/from", message: "at most 8" }],
    });
    await expect(read("range", { from: 3, to: 2 })).rejects.toMatchObject({
      errors: [{ pointer: "/from", message: "at most 2" }],
    });
    await expect(read("range", { from: -1 })).rejects.toMatchObject({ code: "input_invalid" });
  });

  test("the list is by key, narrowed by prefix, and its pages join", async () => {
    await room.call(collectionsCreate, { name: "listed" });
    const keys = ["a", "a/1", "a/2", "a0", "B", "b", "é", "漢/1", "\u{1F600}", "z"];
    for (const key of keys)
      await room.call(documentsAdd, { collection: "listed", key, content: `text of ${key}` });
    const list = (input: object) => room.call(documentsList, { collection: "listed", ...input });
    const byBytes = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect((await list({ limit: 100 })).items.map(({ key }) => key)).toEqual(byBytes);
    const joined: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof list>> = await list({
        limit: 3,
        ...(cursor ? { cursor } : {}),
      });
      joined.push(...page.items.map(({ key }) => key));
      cursor = page.nextCursor;
    } while (cursor);
    expect(joined).toEqual(byBytes);
    for (const prefix of ["a", "a/", "漢", "\u{1F600}", "zz"])
      expect((await list({ prefix })).items.map(({ key }) => key)).toEqual(
        byBytes.filter((key) => key.startsWith(prefix)),
      );
    const first = await list({ limit: 1, prefix: "a" });
    await expect(list({ limit: 1, cursor: first.nextCursor ?? "" })).rejects.toMatchObject({
      code: "cursor_stale",
    });
  });

  test("what is not there is named", async () => {
    await expect(get("nothing")).rejects.toMatchObject({
      code: "not_found",
      message: 'There is no document "nothing" in collection "notes".',
    });
    await expect(read("nothing")).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("deleting", () => {
  test("a dry run counts, the delete removes from every leg, table and count", async () => {
    await room.call(trashEmpty, { all: true });
    const before = await room.call(collectionsGet, { collection });
    const vectors = await rows("vectors");
    const { document } = await add({ key: "going", content: "a unique guillemot" });
    await add({ key: "staying", content: "a unique guillemot" });
    const dry = await room.call(documentsDelete, { collection, document: "going", dryRun: true });
    expect(dry).toMatchObject({
      deleted: { documents: 1, chunks: 1, vectors: 0, bytes: 18 },
      dependents: [],
      dryRun: true,
      undo: null,
    });
    expect(await find("guillemot")).toHaveLength(2);
    const done = await room.call(documentsDelete, { collection, document: document.id });
    expect(done.deleted).toEqual(dry.deleted);
    for (const mode of ["keyword", "semantic"] as const)
      expect(
        (await find("guillemot", mode))
          .filter(({ snippet }) => snippet.includes("guillemot"))
          .map(({ key }) => key),
      ).toEqual(["staying"]);
    const last = await room.call(documentsDelete, { collection, document: "staying" });
    expect(last.deleted.vectors).toBe(1);
    expect(await rows("vectors")).toBe(vectors + 1);
    await room.call(trashEmpty, { all: true });
    expect(await rows("vectors")).toBe(vectors);
    const after = await room.call(collectionsGet, { collection });
    expect(after.counts).toEqual(before.counts);
    await expect(get("going")).rejects.toMatchObject({ code: "not_found" });
    await expect(
      room.call(documentsDelete, { collection, document: "going" }),
    ).rejects.toMatchObject({ code: "not_found" });
  });

  test("twice at the same moment is one delete and one not_found", async () => {
    await add({ key: "twice", content: "only once" });
    const both = await Promise.allSettled(
      [1, 2].map(() => room.call(documentsDelete, { collection, document: "twice" })),
    );
    expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    const refused = both.find((one) => one.status === "rejected");
    expect(refused?.reason).toMatchObject({ code: "not_found" });
  });
});
