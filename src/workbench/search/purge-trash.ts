import { setImmediate as pause } from "node:timers/promises";
import { type Kysely, sql } from "kysely";
import type { Database, Tables, TrashEntryRow, WriteHandle } from "#base/database/index.ts";
import { dropKeywordTable } from "./keyword-index.ts";
import { dropUnusedVectors, isNamed } from "./store-document.ts";
import type { Counts } from "./trash-rows.ts";

/** Lets other work have a turn, or does nothing inside a transaction. */
export type Turn = () => Promise<void>;

export const nextTurn: Turn = () => pause();

/** What was removed for good, or would be. */
export type Purged = { entries: number } & Counts;

/** Chunks, documents and keys in one step: a few milliseconds each, so that nobody waits for a large collection. */
const chunksPerStep = 100;
const documentsPerStep = 50;
const keysPerTurn = 500;

/** How often a count that something came in between is made anew before it is made inside the transaction. */
const mostCounts = 3;

/**
 * A write that answers with what it found, where finding it takes long: counted in turns before, and written only if
 * nothing came in between.
 */
export async function countedWrite<Found, T>(
  database: Database,
  count: (tables: Kysely<Tables>, turn: Turn) => Promise<Found>,
  work: (handle: WriteHandle, found: Found) => Promise<T>,
): Promise<T> {
  for (let attempt = 0; attempt < mostCounts; attempt += 1) {
    const before = await stateOfContent(database.unscoped);
    const found = await count(database.unscoped, nextTurn);
    const done = await database.write(async (handle) =>
      (await stateOfContent(handle.tables)) === before
        ? { value: await work(handle, found) }
        : null,
    );
    if (done) return done.value;
  }
  return database.write(async (handle) =>
    work(handle, await count(handle.tables, () => Promise.resolve())),
  );
}

/** Differs whenever something was added, deleted, restored or removed for good. */
async function stateOfContent(tables: Kysely<Tables>): Promise<string> {
  const { rows } = await sql<{ state: string }>`select
    (select json_group_array(json_array(id, generation, trash_id)) from (select * from collections order by id))
    || (select count(*) || ' ' || coalesce(max(id), '') || ' ' || coalesce(sum(purging), 0) from trash_entries)
    as state`.execute(tables);
  return rows[0]?.state ?? "";
}

/** What goes with these entries: the vectors are those that nothing else names, in the trash or out of it. */
export async function countPurged(
  tables: Kysely<Tables>,
  entries: readonly TrashEntryRow[],
  turn: Turn,
): Promise<Purged> {
  const sum = (field: "documents" | "chunks" | "bytes") =>
    entries.reduce((total, entry) => total + entry[field], 0);
  return {
    entries: entries.length,
    documents: sum("documents"),
    chunks: sum("chunks"),
    vectors: await countFreed(tables, entries, turn),
    bytes: sum("bytes"),
  };
}

async function countFreed(
  tables: Kysely<Tables>,
  entries: readonly TrashEntryRow[],
  turn: Turn,
): Promise<number> {
  const going = JSON.stringify(entries.map(({ id }) => id));
  const keys = new Map<string, Set<string>>();
  for (const entry of entries)
    for await (const { space, key } of keysOf(tables, entry, turn))
      keys.set(space, (keys.get(space) ?? new Set()).add(key));
  let freed = 0;
  for (const [space, all] of keys) {
    const list = [...all];
    for (let from = 0; from < list.length; from += keysPerTurn) {
      const page = JSON.stringify(list.slice(from, from + keysPerTurn));
      const { rows } = await sql<{ count: number }>`select count(*) as count from vectors
        where space_id = ${space} and chunk_key in (select value from json_each(${page}))
          and not exists (select 1 from chunks join collections on collections.id = chunks.collection_id
            where chunks.key = vectors.chunk_key and collections.space_id = vectors.space_id
              and (collections.trash_id is null or collections.trash_id not in (select value from json_each(${going}))))
          and not exists (select 1 from trashed_chunks
            join trashed_documents on trashed_documents.id = trashed_chunks.document_id
            join collections on collections.id = trashed_chunks.collection_id
            where trashed_chunks.key = vectors.chunk_key and collections.space_id = vectors.space_id
              and trashed_documents.trash_id not in (select value from json_each(${going})))`.execute(
        tables,
      );
      freed += Number(rows[0]?.count ?? 0);
      await turn();
    }
  }
  return freed;
}

/** The keys of an entry's chunks with the space of their vectors. */
async function* keysOf(
  tables: Kysely<Tables>,
  { id, kind, collection_id: collection }: TrashEntryRow,
  turn: Turn,
): AsyncGenerator<{ space: string; key: string }> {
  if (kind === "document") {
    const { rows } = await sql<{
      space: string;
      key: string;
    }>`select distinct space_id as space, trashed_chunks.key
      from trashed_documents join trashed_chunks on trashed_chunks.document_id = trashed_documents.id
      join collections on collections.id = trashed_documents.collection_id
      where trashed_documents.trash_id = ${id}`.execute(tables);
    yield* rows;
    await turn();
    return;
  }
  for (let after = ""; ;) {
    const { rows } = await sql<{
      space: string;
      key: string;
    }>`select distinct space_id as space, chunks.key
      from chunks join collections on collections.id = chunks.collection_id
      where chunks.collection_id = ${collection} and chunks.key > ${after}
      order by chunks.key limit ${keysPerTurn}`.execute(tables);
    yield* rows;
    const last = rows.at(-1);
    if (!last || rows.length < keysPerTurn) return;
    after = last.key;
    await turn();
  }
}

/** The entries with those of documents that lie in their collections: a collection takes all of its own with it. */
export async function withDocuments(
  tables: Kysely<Tables>,
  entries: readonly TrashEntryRow[],
): Promise<TrashEntryRow[]> {
  const collections = entries.flatMap((entry) =>
    entry.kind === "collection" ? [entry.collection_id] : [],
  );
  if (collections.length === 0) return [...entries];
  const inside = await tables
    .selectFrom("trash_entries")
    .selectAll()
    .where("kind", "=", "document")
    .where(
      "collection_id",
      "in",
      sql<string>`(select value from json_each(${JSON.stringify(collections)}))`,
    )
    .execute();
  const known = new Set(entries.map(({ id }) => id));
  return [...entries, ...inside.filter(({ id }) => !known.has(id))];
}

/** From here on they are nowhere to be seen and cannot come back, whatever happens to this process. */
export async function markPurging(
  tables: Kysely<Tables>,
  entries: readonly TrashEntryRow[],
): Promise<void> {
  const ids = JSON.stringify(entries.map(({ id }) => id));
  await tables
    .updateTable("trash_entries")
    .set({ purging: 1 })
    .where("id", "in", sql<string>`(select value from json_each(${ids}))`)
    .execute();
}

/**
 * Removes marked entries in steps of a transaction each, and with them every vector that nothing names any more. What a
 * signal or the end of the process left goes on with the next sweep.
 */
export async function purgeMarked(
  database: Database,
  entries: readonly TrashEntryRow[],
  signal: AbortSignal,
): Promise<void> {
  let step: TrashEntryRow[] = [];
  let chunks = 0;
  for (const entry of entries) {
    if (entry.kind !== "document") continue;
    if (
      step.length >= documentsPerStep ||
      (step.length > 0 && chunks + entry.chunks > chunksPerStep)
    ) {
      if (signal.aborted) return;
      await purgeDocuments(database, step);
      step = [];
      chunks = 0;
    }
    step.push(entry);
    chunks += entry.chunks;
  }
  if (step.length > 0 && !signal.aborted) await purgeDocuments(database, step);
  for (const entry of entries)
    if (entry.kind === "collection") await purgeCollection(database, entry.collection_id, signal);
}

async function purgeDocuments(
  database: Database,
  entries: readonly TrashEntryRow[],
): Promise<void> {
  const ids = JSON.stringify(entries.map(({ id }) => id));
  await database.write(async ({ tables }) => {
    const { rows } = await sql<{
      key: string;
    }>`select distinct trashed_chunks.key from trashed_documents
      join trashed_chunks on trashed_chunks.document_id = trashed_documents.id
      where trashed_documents.trash_id in (select value from json_each(${ids}))`.execute(tables);
    await sql`delete from trash_entries where id in (select value from json_each(${ids}))`.execute(
      tables,
    );
    await dropUnusedVectors(
      tables,
      database,
      rows.map(({ key }) => key),
    );
  });
}

async function purgeCollection(
  database: Database,
  collection: string,
  signal: AbortSignal,
): Promise<void> {
  // Asked in every step: nothing but what is marked for removal is ever taken apart.
  const marked = sql`(select collections.id from collections
    join trash_entries on trash_entries.id = collections.trash_id
    where collections.id = ${collection} and trash_entries.purging = 1)`;
  for (let more = true; more;) {
    if (signal.aborted) return;
    more = await database.write(async ({ tables }) => {
      const gone = await sql<{ key: string }>`delete from chunks where row in
        (select row from chunks where collection_id = ${marked} limit ${chunksPerStep}) returning key`.execute(
        tables,
      );
      const keys = gone.rows.map(({ key }) => key);
      await dropUnusedVectors(tables, database, keys);
      return keys.length === chunksPerStep;
    });
  }
  for (let more = true; more;) {
    if (signal.aborted) return;
    more = await database.write(async ({ tables }) => {
      const gone = await sql<{ id: string }>`delete from documents where id in
        (select id from documents where collection_id = ${marked} limit ${documentsPerStep}) returning id`.execute(
        tables,
      );
      return gone.rows.length === documentsPerStep;
    });
  }
  await database.write(async ({ tables }) => {
    const { numDeletedRows } = await tables
      .deleteFrom("collections")
      .where("id", "=", sql<string>`${marked}`)
      .executeTakeFirst();
    if (numDeletedRows === 0n) return;
    await tables.deleteFrom("grants").where("collection_id", "=", collection).execute();
    await dropKeywordTable(tables, collection);
  });
}

/** Vectors that nothing names, in the trash or out of it: how many and their bytes. Removed unless it is a dry run. */
export async function dropOrphanVectors(
  database: Database,
  dryRun: boolean,
): Promise<{ count: number; bytes: number }> {
  const found = { count: 0, bytes: 0 };
  let after = ["", ""];
  for (;;) {
    const [key = "", space = ""] = after;
    const page = await sql<{ key: string; space: string; bytes: number; named: number }>`select
        chunk_key as key, space_id as space, length(vector) as bytes, ${isNamed} as named from vectors
      where (chunk_key, space_id) > (${key}, ${space})
      order by chunk_key, space_id limit ${keysPerTurn}`.execute(database.unscoped);
    const orphans = page.rows.filter(({ named }) => named === 0);
    if (dryRun || orphans.length === 0)
      for (const { bytes } of orphans) {
        found.count += 1;
        found.bytes += bytes;
      }
    else {
      const gone = await dropThese(database, orphans);
      found.count += gone.length;
      for (const { bytes } of gone) found.bytes += bytes;
    }
    const last = page.rows.at(-1);
    if (!last || page.rows.length < keysPerTurn) return found;
    after = [last.key, last.space];
    await nextTurn();
  }
}

async function dropThese(
  database: Database,
  orphans: readonly { key: string; space: string }[],
): Promise<{ bytes: number }[]> {
  const keys = JSON.stringify(orphans.map(({ key, space }) => [key, space]));
  const gone = await database.write(({ tables }) =>
    sql<{ bytes: number }>`delete from vectors where (chunk_key, space_id) in
        (select value ->> 0, value ->> 1 from json_each(${keys}))
      and not ${isNamed} returning length(vector) as bytes`.execute(tables),
  );
  return gone.rows;
}
