import type { Principal } from "#base/access/index.ts";
import type { Tables } from "#base/database/index.ts";
import { collectionsCreate } from "#operations/collections/create.ts";
import { collectionsDelete } from "#operations/collections/delete.ts";
import { documentsAdd } from "#operations/documents/add.ts";
import { documentsDelete } from "#operations/documents/delete.ts";
import { searchQuery } from "#operations/search/query.ts";
import { trashList } from "#operations/trash/list.ts";
import { trashRestore } from "#operations/trash/restore.ts";
import { openTestApp, type TestApp } from "../fixtures/rooms/open-test-app.ts";

export const modes = ["semantic", "keyword", "hybrid"] as const;

/** Where the trash keeps things, and where they are when they are in sight. */
export const trashTables = [
  "trash_entries",
  "trashed_documents",
  "trashed_texts",
  "trashed_chunks",
] as const;
export const contentTables = ["documents", "document_texts", "chunks", "vectors"] as const;

/** The trash entry of an answered delete. */
export function entryOf({ undo }: { undo: { trash: string } | null }): string {
  if (!undo) throw new Error("the delete cannot be undone");
  return undo.trash;
}

/** All rows of a table, as text that can be compared. */
export async function rowsOf(table: keyof Tables, { app }: TestApp): Promise<string[]> {
  const rows = await app.database.unscoped.selectFrom(table).selectAll().execute();
  return rows.map((row) =>
    JSON.stringify(row, (_name, value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value,
    ),
  );
}

/** The product with short words for what tests of the trash do. */
export async function openTrashRoom() {
  const room = await openTestApp();
  return {
    room,
    create: (name: string) => room.call(collectionsCreate, { name }),
    add: (collection: string, key: string, content: string, input: object = {}) =>
      room.call(documentsAdd, { collection, key, content, ...input }),
    restore: (trash: string, input: object = {}, by?: Principal) =>
      room.call(trashRestore, { trash, ...input }, by),
    trash: async (by?: Principal) => (await room.call(trashList, { limit: 100 }, by)).items,
    dropDocument: async (collection: string, document: string, by?: Principal) =>
      entryOf(await room.call(documentsDelete, { collection, document }, by)),
    dropCollection: async (collection: string, by?: Principal) =>
      entryOf(await room.call(collectionsDelete, { collection }, by)),
    /** Every row that a search rests on. */
    content: async () => {
      const rows = contentTables.map(async (table) => [table, await rowsOf(table, room)]);
      return Object.fromEntries(await Promise.all(rows)) as Record<
        (typeof contentTables)[number],
        string[]
      >;
    },
    /** Whatever a search shows in each mode, without the time it took. */
    found: async (collection: string, query: string) => {
      const answers = [];
      for (const mode of modes) {
        const answer = await room.call(searchQuery, { query, mode, collections: [collection] });
        const { items, searched, legs } = answer;
        answers.push({ items, searched, legs });
      }
      return answers;
    },
  };
}
