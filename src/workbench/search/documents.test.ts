import { mkdirSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { DocumentRow } from "#base/database/index.ts";
import { freshFolder } from "../../../test/fixtures/rooms/open-rooms.ts";
import { freshness } from "./documents.ts";

const indexedAt = Date.UTC(2024, 4, 1, 12);
let path = "";

/** A document as the sync of the file at `path` stored it just now. */
function rowOf(text: string, change: Partial<DocumentRow> = {}): DocumentRow {
  return {
    id: "doc_1",
    collection_id: "col_1",
    key: "note.txt",
    title: null,
    media_type: "text/plain",
    format: "text",
    language: null,
    source_kind: "file",
    source_path: path,
    source_url: null,
    root: "/",
    bytes: Buffer.byteLength(text),
    sha256: createHash("sha256").update(text).digest("hex"),
    modified_ms: Math.trunc(statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0),
    metadata: "{}",
    fell_back: null,
    characters: text.length,
    chunk_count: 1,
    indexed_at: indexedAt,
    created_at: indexedAt,
    ...change,
  };
}

const stateOf = async (row: DocumentRow) => (await freshness(row)).state;

beforeEach(() => {
  path = join(freshFolder(onTestFinished), "note.txt");
  writeFileSync(path, "first text");
});

describe("a file", () => {
  test("as it was indexed is current, and says when", async () => {
    expect(await freshness(rowOf("first text"))).toEqual({
      state: "current",
      indexedAt: "2024-05-01T12:00:00.000Z",
    });
  });

  test("touched but the same is current", async () => {
    const row = rowOf("first text");
    utimesSync(path, new Date(), new Date(2001, 1, 1));
    expect(await stateOf(row)).toBe("current");
  });

  test("changed is stale, also at the same size", async () => {
    const row = rowOf("first text", { modified_ms: 1 });
    writeFileSync(path, "other text");
    expect(await stateOf(row)).toBe("stale");
    writeFileSync(path, "a longer text");
    expect(await stateOf(row)).toBe("stale");
  });

  test("gone, or become a folder, is stale", async () => {
    const row = rowOf("first text");
    rmSync(path);
    expect(await stateOf(row)).toBe("stale");
    mkdirSync(path);
    expect(await stateOf(row)).toBe("stale");
    expect(await stateOf({ ...row, source_path: join(path, "below", "a") })).toBe("stale");
  });

  test("large and touched is unknown: it is not read for a hit", async () => {
    truncateSync(path, 4 * 1024 * 1024 + 1);
    const row = rowOf("", { bytes: 4 * 1024 * 1024 + 1 });
    expect(await stateOf(row)).toBe("current");
    expect(await stateOf({ ...row, modified_ms: 1 })).toBe("unknown");
  });

  test("that cannot be looked at is unknown", async () => {
    const row = rowOf("first text", { source_path: path + "x".repeat(300) });
    expect(await stateOf(row)).toBe("unknown");
  });

  test("without a path is unknown", async () => {
    expect(await stateOf(rowOf("first text", { source_path: null }))).toBe("unknown");
  });
});

test("what was handed in is its own source; an address is not asked", async () => {
  rmSync(path);
  expect(await stateOf(rowOf("x", { source_kind: "text", source_path: null }))).toBe("current");
  expect(await stateOf(rowOf("x", { source_kind: "upload", source_path: null }))).toBe("current");
  expect(await stateOf(rowOf("x", { source_kind: "url", source_path: null }))).toBe("unknown");
});
