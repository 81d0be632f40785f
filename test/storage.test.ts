import { readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { localPrincipal } from "#base/access/index.ts";
import { type Operation, runOperation } from "#operations/index.ts";
import { collectionsCreate } from "#operations/collections/create.ts";
import { collectionsDelete } from "#operations/collections/delete.ts";
import { documentsAdd } from "#operations/documents/add.ts";
import { documentsDelete } from "#operations/documents/delete.ts";
import { searchQuery } from "#operations/search/query.ts";
import { storageCleanup } from "#operations/storage/cleanup.ts";
import { storageUsage } from "#operations/storage/usage.ts";
import { openTestApp, type TestApp } from "./fixtures/rooms/open-test-app.ts";

let room: TestApp;
beforeAll(async () => {
  room = await openTestApp();
  await room.call(collectionsCreate, { name: "notes" });
  for (let number = 0; number < 20; number += 1)
    await room.call(documentsAdd, {
      collection: "notes",
      key: `${number}.md`,
      content: `# Note ${number}\n\n${`Word${number} stands here. `.repeat(80)}`,
    });
});
afterAll(() => room.close());

const usage = () => room.call(storageUsage, {});
const hour = 3_600_000;

/** Writes a file that was last changed `age` milliseconds ago. */
function plant(path: string, content: string, age: number): number {
  writeFileSync(path, content);
  const at = (Date.now() - age) / 1000;
  utimesSync(path, at, at);
  return Buffer.byteLength(content);
}

function sizeBelow(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

/** The pages of the database file, read beside the product. */
function pagesOf(file: string) {
  const reader = new DatabaseSync(file, { readOnly: true });
  try {
    const read = (name: string) => Number(reader.prepare(`pragma ${name}`).get()?.[name]);
    const pageBytes = read("page_size");
    return { pages: read("page_count"), pageBytes, free: read("freelist_count") * pageBytes };
  } finally {
    reader.close();
  }
}

describe("usage", () => {
  test("is what the files and the pages of the database measure", async () => {
    const { home } = room.app;
    const { kinds, database, disk, reclaimable } = await usage();
    const bytes = Object.fromEntries(kinds.map((kind) => [kind.kind, kind.bytes]));
    const file = join(home.home, "candor.sqlite");
    expect(bytes["database"]).toBe(statSync(file).size);
    expect(bytes["databaseLog"]).toBe(statSync(`${file}-wal`).size);
    expect(bytes["models"]).toBe(
      sizeBelow(join(import.meta.dirname, "../assets/candor-static-256")),
    );
    expect(bytes["artifacts"]).toBe(sizeBelow(home.artifacts));
    expect(bytes["logs"]).toBe(sizeBelow(home.logs));
    expect(kinds.every(({ reason, files }) => reason === null && files !== null)).toBe(true);
    expect(disk.freeBytes).toBeLessThanOrEqual(disk.totalBytes);

    const { pages, pageBytes } = pagesOf(file);
    const sum = (database.contents ?? []).reduce((total, content) => total + content.bytes, 0);
    expect(sum).toBe(pages * pageBytes);
    const contents = Object.fromEntries(
      (database.contents ?? []).map((one) => [one.kind, one.bytes]),
    );
    for (const kind of ["documents", "chunks", "vectors", "keywords", "ledger", "audit", "trash"])
      expect(contents[kind], kind).toBeGreaterThanOrEqual(pageBytes);
    expect(contents["vectors"]).toBeGreaterThanOrEqual(20 * 256 * 4);
    expect(reclaimable.every(({ count }) => count === 0)).toBe(true);
  });

  test("says what the trash keeps", async () => {
    const text = `# Deleted\n\n${"Something that goes. ".repeat(30)}`;
    await room.call(documentsAdd, { collection: "notes", key: "gone.md", content: text });
    expect((await usage()).trash).toMatchObject({ entries: 0, bytes: 0, purgedSinceStart: 0 });
    await room.call(documentsDelete, { collection: "notes", document: "gone.md" });
    const { trash } = await usage();
    expect(trash.entries).toBe(1);
    expect(trash.bytes).toBeGreaterThan(256 * 4 + 600);
    await room.call(collectionsCreate, { name: "whole" });
    await room.call(documentsAdd, { collection: "whole", key: "a", content: `${text} Again.` });
    await room.call(collectionsDelete, { collection: "whole" });
    expect((await usage()).trash.bytes).toBeGreaterThan(2 * (256 * 4 + 600));
  });

  test("is unknown with the reason where it cannot be measured, and measures the rest", async () => {
    const other = await openTestApp();
    try {
      rmSync(other.app.home.logs, { recursive: true });
      const { kinds, reclaimable } = await other.call(storageUsage, {});
      const unfinished = reclaimable.find(({ kind }) => kind === "unfinishedFiles");
      expect(unfinished).toMatchObject({ count: null, reason: expect.stringContaining("ENOENT") });
      const { cleaned } = await other.call(storageCleanup, { dryRun: false });
      expect(cleaned.filter(({ reason }) => reason !== null)).toEqual([unfinished]);
      const entries = await other.app.ledger.list({ limit: 100 });
      expect(entries.map(({ item }) => item)).toContain("unfinishedFiles");
      expect(kinds.find(({ kind }) => kind === "logs")).toMatchObject({
        bytes: null,
        files: null,
        reason: expect.stringContaining("ENOENT"),
      });
      expect(kinds.find(({ kind }) => kind === "database")?.bytes).toBeGreaterThan(0);
    } finally {
      await other.close();
    }
  });
});

describe("cleanup", () => {
  test("counts before what it then removes, and leaves everything else", async () => {
    const { home, database } = room.app;
    const now = Date.now();
    const [known] = await database.unscoped.selectFrom("vectors").selectAll().limit(1).execute();
    if (!known) throw new Error("there is no vector");
    await database.write(async ({ tables }) => {
      await tables
        .insertInto("vectors")
        .values([
          { ...known, chunk_key: "orphan-1" },
          { ...known, chunk_key: "zz-orphan-2" },
        ])
        .execute();
      const answer = { principal_id: "key_x", operation: "x", input_hash: "x", answer: "{}" };
      await tables
        .insertInto("idempotency")
        .values([
          { ...answer, key: "old", created_at: now - 25 * hour },
          { ...answer, key: "new", created_at: now },
        ])
        .execute();
      await tables
        .insertInto("sessions")
        .values([
          { hash: "ended", principal_id: "local", created_at: 1, expires_at: now - 1 },
          { hash: "open", principal_id: "local", created_at: 1, expires_at: now + hour },
        ])
        .execute();
      await tables
        .updateTable("trash_entries")
        .set({ expires_at: now - 1 })
        .execute();
    });
    const ledger = (errors: string) =>
      `{\n  "metadata": {},\n  "errors": ${errors},\n  "x": 1\n}\n`;
    const bytes = {
      ledger: plant(join(home.artifacts, "error-ledger-a.json"), ledger("[]"), 25 * hour),
      unfinished: plant(join(home.run, "x.json.1.unfinished"), "half a file", 2 * hour),
      backup: plant(join(home.backups, "before-schema-2-1.sqlite"), "older", 50 * hour),
    };
    plant(join(home.artifacts, "error-ledger-new.json"), ledger("[]"), hour);
    plant(join(home.artifacts, "error-ledger-full.json"), ledger("[\n    {}\n  ]"), 25 * hour);
    plant(join(home.artifacts, "own.json"), ledger("[]"), 25 * hour);
    plant(join(home.home, "y.unfinished"), "being written", 0);
    plant(join(home.backups, "before-schema-2-2.sqlite"), "newest", 40 * hour);
    plant(join(home.backups, "mine.sqlite"), "kept by hand", 90 * hour);

    const dry = await room.call(storageCleanup, {});
    expect(dry).toMatchObject({ dryRun: true });
    expect(Object.fromEntries(dry.cleaned.map(({ kind, count }) => [kind, count]))).toEqual({
      expiredTrash: 2,
      orphanVectors: 2,
      idempotencyAnswers: 1,
      endedSessions: 1,
      emptyLedgerFiles: 1,
      unfinishedFiles: 1,
    });
    const bytesOf = (kind: string) => dry.cleaned.find((one) => one.kind === kind)?.bytes;
    expect(bytesOf("orphanVectors")).toBe(2 * known.vector.length);
    expect(bytesOf("emptyLedgerFiles")).toBe(bytes.ledger);
    expect(bytesOf("unfinishedFiles")).toBe(bytes.unfinished);
    const counted = (await usage()).reclaimable;
    expect(counted.slice(0, -1)).toEqual(dry.cleaned);
    expect(counted.at(-1)).toMatchObject({
      kind: "migrationBackups",
      count: 1,
      bytes: bytes.backup,
    });
    expect(await room.call(storageCleanup, { dryRun: true })).toMatchObject({
      cleaned: dry.cleaned,
    });

    const before = await room.call(searchQuery, { query: "note word7", collections: ["notes"] });
    const done = await room.call(storageCleanup, { dryRun: false });
    expect(done).toMatchObject({ cleaned: dry.cleaned, dryRun: false });
    const after = await room.call(storageCleanup, {});
    expect(after.cleaned.every(({ count, bytes: left }) => count === 0 && left === 0)).toBe(true);
    expect(readdirSync(home.artifacts)).toEqual(
      expect.arrayContaining(["error-ledger-full.json", "error-ledger-new.json", "own.json"]),
    );
    expect(readdirSync(home.artifacts)).not.toContain("error-ledger-a.json");
    expect(readdirSync(home.backups).toSorted()).toEqual([
      "before-schema-2-1.sqlite",
      "before-schema-2-2.sqlite",
      "mine.sqlite",
    ]);
    expect(readdirSync(home.home)).toContain("y.unfinished");
    const { items } = await room.call(searchQuery, { query: "note word7", collections: ["notes"] });
    expect(items).toEqual(before.items);
    const sessions = await database.read.selectFrom("sessions").select("hash").execute();
    expect(sessions.map(({ hash }) => hash)).toEqual(["open"]);

    const { database: emptier } = await usage();
    const { pages, pageBytes, free } = pagesOf(join(home.home, "candor.sqlite"));
    expect(free).toBeGreaterThan(0);
    expect(emptier.contents).toContainEqual({ kind: "free", bytes: free });
    const sum = (emptier.contents ?? []).reduce((total, content) => total + content.bytes, 0);
    expect(sum).toBe(pages * pageBytes);

    const named = await room.call(storageCleanup, { kinds: ["migrationBackups"], dryRun: false });
    expect(named.cleaned).toEqual([
      {
        kind: "migrationBackups",
        frees: "disk",
        count: 1,
        bytes: bytes.backup,
        failed: 0,
        reason: null,
      },
    ]);
    expect(readdirSync(home.backups).toSorted()).toEqual([
      "before-schema-2-2.sqlite",
      "mine.sqlite",
    ]);
  });

  test("repeated with its key answers the same and removes nothing twice", async () => {
    const { app, call } = { app: room.app, call: room.call.bind(room) };
    await call(documentsAdd, { collection: "notes", key: "twice", content: "One more note." });
    await call(documentsDelete, { collection: "notes", document: "twice" });
    await app.database.write(({ tables }) =>
      tables.updateTable("trash_entries").set({ expires_at: 1 }).execute(),
    );
    const operation = storageCleanup as unknown as Operation;
    const clean = async () => {
      const caller = { principal: localPrincipal, idempotencyKey: "clean-1" };
      return (await runOperation(app, operation, { dryRun: false }, caller)).output;
    };
    const first = await clean();
    expect(first).toMatchObject({
      cleaned: [{ kind: "expiredTrash", count: 1 }, {}, {}, {}, {}, {}],
    });
    expect(await clean()).toEqual(first);
  });

  test("a kind that there is none of is refused with those there are", async () => {
    const wrong = room.call(storageCleanup, { kinds: ["everything"] as never });
    await expect(wrong).rejects.toMatchObject({
      code: "input_invalid",
      errors: [{ pointer: "/kinds/0", valid: expect.arrayContaining(["orphanVectors"]) }],
    });
  });
});
