import { type Kysely, sql } from "kysely";
import type { Access, Principal } from "#base/access/index.ts";
import type { Database, Scope, Tables, TrashEntryRow, WriteHandle } from "#base/database/index.ts";
import {
  CollectionInTrashError,
  InputInvalidError,
  type NextStep,
  NotFoundError,
} from "#base/errors/index.ts";
import type { Ledger } from "#base/ledger/index.ts";
import {
  countedWrite,
  countPurged,
  dropOrphanVectors,
  markPurging,
  nextTurn,
  type Purged,
  purgeMarked,
  type Turn,
  withDocuments,
} from "./purge-trash.ts";
import {
  type Counts,
  type OpenEntry,
  restoreCollection,
  type Restored,
  restoreDocument,
} from "./trash-rows.ts";
import type { VectorIndex } from "./vector-index.ts";

/** What was deleted and can still be restored, as every door shows it. */
export type TrashEntry = {
  id: string;
  kind: "document" | "collection";
  /** The deleted thing; it comes back under this id. */
  thing: string;
  /** The document's key, or the collection's name. */
  name: string;
  collection: { id: string; name: string; inTrash: boolean };
  counts: Counts;
  /** Null where the caller may not know: only owners of the collection are told of others. */
  deletedBy: string | null;
  deletedAt: string;
  until: string;
};

/** Which entries to remove for good: one of these. */
export type EmptyWanted = { trash: string } | { before: number } | "all";

export type Trash = {
  /** Those that the caller could restore, newest first: of collections it owns, and documents where it may write. */
  list(
    principal: Principal,
    scope: Scope,
    page: { before?: string | undefined; limit: number },
  ): Promise<TrashEntry[]>;
  /**
   * Brings back what an entry holds, with the same ids, chunks and vectors; no model runs. Raises NotFoundError,
   * AlreadyExistsError when the name is taken meanwhile, CollectionInTrashError for a document of a deleted collection.
   */
  restore(
    principal: Principal,
    id: string,
    as: { name?: string | undefined; key?: string | undefined },
  ): Promise<Restored>;
  /** Removes entries for good; a dry run only counts. */
  empty(
    principal: Principal,
    scope: Scope,
    wanted: EmptyWanted,
    dryRun: boolean,
  ): Promise<{ emptied: Purged; dryRun: boolean; undo: null }>;
  /** Removes for good what is in the trash for too long, and what an earlier process left half removed. */
  sweep(dryRun?: boolean): Promise<Purged>;
  /** Vectors that nothing names; there are none unless the database was changed from outside. */
  orphanVectors(dryRun: boolean): Promise<{ count: number; bytes: number }>;
  /** The last sweep, and what sweeps removed since the start. */
  status(): { sweptAt: string | null; purged: Purged };
  /** Sweeps now and every hour, until the returned function is called, which waits for a sweep in progress. */
  keepSweeping(): () => Promise<void>;
};

const sweepEveryMs = 3_600_000;

/** Entries read at a time while those that the caller may see are looked for. */
const readAtOnce = 200;

type Dependencies = { database: Database; access: Access; ledger: Ledger; vectors: VectorIndex };

/** An entry with the collection it belongs to; that one's name is in its own entry where it lies in the trash too. */
type FoundEntry = OpenEntry & { home: string | null; home_name: string | null };

/** What was deleted, for as long as it can come back. */
export function createTrash(dependencies: Dependencies): Trash {
  const { database, ledger } = dependencies;
  const remover = createRemover(database);
  const state = { sweptAt: null as string | null, purged: nothing() };
  const sweep = async (dryRun = false): Promise<Purged> => {
    const due = await remover.count(dueEntries);
    if (dryRun) return due;
    const removed =
      due.entries === 0 ? due : await remover.remove(dueEntries, async (_handle, purged) => purged);
    state.sweptAt = new Date().toISOString();
    state.purged = add(state.purged, removed);
    return removed;
  };
  const sweepAndRecord = async (): Promise<void> => {
    try {
      await sweep();
    } catch (thrown) {
      await ledger.record(thrown, { operation: "trash.sweep" });
    }
  };
  return {
    list: (principal, scope, page) => listEntries(dependencies, principal, scope, page),
    restore: (principal, id, as) => restoreEntry(dependencies, principal, id, as),
    empty: async (principal, scope, wanted, dryRun) => {
      const choose = () => chosenEntries(dependencies, principal, scope, wanted);
      const toAnswer = (emptied: Purged) => ({ emptied, dryRun, undo: null });
      if (dryRun) return toAnswer(await remover.count(choose));
      return remover.remove(choose, (handle, emptied) => handle.answer(toAnswer(emptied)));
    },
    sweep,
    orphanVectors: (dryRun) => dropOrphanVectors(database, dryRun),
    status: () => ({ sweptAt: state.sweptAt, purged: { ...state.purged } }),
    keepSweeping: () => {
      let sweeping = sweepAndRecord();
      const timer = setInterval(() => {
        sweeping = sweeping.then(sweepAndRecord);
      }, sweepEveryMs);
      timer.unref();
      return async () => {
        clearInterval(timer);
        const stopped = remover.stop();
        await sweeping;
        await stopped;
      };
    },
  };
}

type Choose = (tables: Kysely<Tables>) => Promise<TrashEntryRow[]>;

/** Removes entries for good, one lot at a time: two would take the same collection apart. */
function createRemover(database: Database) {
  const closing = new AbortController();
  let last: Promise<void> = Promise.resolve();
  const purge = (entries: readonly TrashEntryRow[]): Promise<void> => {
    const next = last.then(() => purgeMarked(database, entries, closing.signal));
    last = next.then(
      () => undefined,
      // Whoever asked for it is told.
      () => undefined,
    );
    return next;
  };
  const find = async (choose: Choose, tables: Kysely<Tables>, turn: Turn) => {
    const entries = await withDocuments(tables, await choose(tables));
    return { entries, purged: await countPurged(tables, entries, turn) };
  };
  /** Marks what is chosen in one transaction, which keeps the answer, and removes it in steps after that. */
  const remove = async <T>(
    choose: Choose,
    keep: (handle: WriteHandle, purged: Purged) => Promise<T>,
  ): Promise<T> => {
    const { entries, kept } = await countedWrite(
      database,
      (tables, turn) => find(choose, tables, turn),
      async (handle, { entries, purged }) => {
        await markPurging(handle.tables, entries);
        return { entries, kept: await keep(handle, purged) };
      },
    );
    await purge(entries);
    return kept;
  };
  return {
    remove,
    count: async (choose: Choose) => (await find(choose, database.unscoped, nextTurn)).purged,
    /** Ends after the step in progress; what is left goes with the next sweep. */
    stop: (): Promise<void> => {
      closing.abort();
      return last;
    },
  };
}

function nothing(): Purged {
  return { entries: 0, documents: 0, chunks: 0, vectors: 0, bytes: 0 };
}

function add(one: Purged, other: Purged): Purged {
  return {
    entries: one.entries + other.entries,
    documents: one.documents + other.documents,
    chunks: one.chunks + other.chunks,
    vectors: one.vectors + other.vectors,
    bytes: one.bytes + other.bytes,
  };
}

/** What is in the trash for too long, and what was being removed when a process ended. */
function dueEntries(tables: Kysely<Tables>): Promise<TrashEntryRow[]> {
  return tables
    .selectFrom("trash_entries")
    .selectAll()
    .where((is) => is.or([is("purging", "=", 1), is("expires_at", "<=", Date.now())]))
    .execute();
}

/** Entries that can still be restored, with their collection. */
function liveEntries(database: Database) {
  return database.unscoped
    .selectFrom("trash_entries")
    .innerJoin("collections", "collections.id", "trash_entries.collection_id")
    .leftJoin("trash_entries as homes", "homes.id", "collections.trash_id")
    .selectAll("trash_entries")
    .select([
      "collections.name as collection_name",
      "collections.trash_id as home",
      "homes.name as home_name",
    ])
    .where("trash_entries.purging", "=", 0)
    .where("trash_entries.expires_at", ">", Date.now());
}

/** The caller's right on an entry's collection where it is enough: to own a collection, to write where a document was. */
async function enoughRight(
  { access }: Dependencies,
  principal: Principal,
  entry: TrashEntryRow,
): Promise<"write" | "owner" | null> {
  const right = await access.rightOn(principal, entry.collection_id);
  if (right === "owner") return right;
  return right === "write" && entry.kind === "document" ? right : null;
}

/** Newest first, as far as the caller may see them. */
async function* seenEntries(
  dependencies: Dependencies,
  principal: Principal,
  scope: Scope,
  from: string | undefined,
): AsyncGenerator<{ entry: FoundEntry; right: "write" | "owner" }> {
  const { write } = scope;
  for (let before = from; ;) {
    let query = liveEntries(dependencies.database);
    if (write !== "all")
      query = query.where(
        "trash_entries.collection_id",
        "in",
        sql<string>`(select value from json_each(${JSON.stringify(write)}))`,
      );
    if (before !== undefined) query = query.where("trash_entries.id", "<", before);
    const rows = await query.orderBy("trash_entries.id", "desc").limit(readAtOnce).execute();
    for (const entry of rows) {
      const right = await enoughRight(dependencies, principal, entry);
      if (right !== null) yield { entry, right };
    }
    before = rows.at(-1)?.id;
    if (before === undefined || rows.length < readAtOnce) return;
  }
}

async function listEntries(
  dependencies: Dependencies,
  principal: Principal,
  scope: Scope,
  { before, limit }: { before?: string | undefined; limit: number },
): Promise<TrashEntry[]> {
  const found: TrashEntry[] = [];
  if (limit === 0) return found;
  for await (const { entry, right } of seenEntries(dependencies, principal, scope, before)) {
    found.push(toEntry(entry, right === "owner" || entry.deleted_by === principal.id));
    if (found.length === limit) break;
  }
  return found;
}

function toEntry(row: FoundEntry, mayKnowWho: boolean): TrashEntry {
  const { documents, chunks, vectors, bytes } = row;
  return {
    id: row.id,
    kind: row.kind,
    thing: row.thing_id,
    name: row.name,
    collection: {
      id: row.collection_id,
      name: row.home_name ?? row.collection_name,
      inTrash: row.home !== null,
    },
    counts: { documents, chunks, vectors, bytes },
    deletedBy: mayKnowWho ? row.deleted_by : null,
    deletedAt: new Date(row.deleted_at).toISOString(),
    until: new Date(row.expires_at).toISOString(),
  };
}

/** The entry of this id. Raises NotFoundError, also for one that the caller may not see. */
async function findEntry(
  dependencies: Dependencies,
  principal: Principal,
  id: string,
): Promise<{ entry: FoundEntry; right: "write" | "owner" }> {
  const entry = await liveEntries(dependencies.database)
    .where("trash_entries.id", "=", id)
    .executeTakeFirst();
  const right = entry ? await enoughRight(dependencies, principal, entry) : null;
  if (!entry || right === null) throw noEntry(id);
  return { entry, right };
}

function noEntry(id: string): Error {
  return new NotFoundError(`There is no trash entry "${id}".`);
}

async function chosenEntries(
  dependencies: Dependencies,
  principal: Principal,
  scope: Scope,
  wanted: EmptyWanted,
): Promise<TrashEntryRow[]> {
  if (wanted !== "all" && "trash" in wanted)
    return [toRow((await findEntry(dependencies, principal, wanted.trash)).entry)];
  const chosen: TrashEntryRow[] = [];
  for await (const { entry } of seenEntries(dependencies, principal, scope, undefined))
    if (wanted === "all" || entry.deleted_at < wanted.before) chosen.push(toRow(entry));
  return chosen;
}

function toRow(found: FoundEntry): TrashEntryRow {
  const { collection_name: _name, home: _home, home_name: _homeName, ...row } = found;
  return row;
}

async function restoreEntry(
  dependencies: Dependencies,
  principal: Principal,
  id: string,
  as: { name?: string | undefined; key?: string | undefined },
): Promise<Restored> {
  const { entry, right } = await findEntry(dependencies, principal, id);
  const foreign = entry.kind === "document" ? "name" : "key";
  if (as[foreign] !== undefined)
    throw new InputInvalidError(
      entry.kind === "document"
        ? "A document has no name: give a key to restore it under another one."
        : "A collection has no key: give a name to restore it under another one.",
      { errors: [{ pointer: `/${foreign}`, message: `is not taken for a ${entry.kind}` }] },
    );
  if (entry.kind === "document" && entry.home !== null)
    throw new CollectionInTrashError(
      `The collection "${entry.home_name}" of this document lies in the trash.`,
      { nextStep: collectionFirst(entry, right) },
    );
  const { database, vectors } = dependencies;
  const restored = await database.write((handle) =>
    entry.kind === "document"
      ? restoreDocument(handle, entry, as.key)
      : restoreCollection(handle, entry, as.name),
  );
  vectors.forget(entry.collection_id);
  return restored;
}

function collectionFirst(entry: FoundEntry, right: "write" | "owner"): NextStep {
  if (right !== "owner" || entry.home === null)
    return { text: "Ask an owner of the collection to restore it first." };
  return {
    text: "Restore the collection first, then the document.",
    operation: "trash.restore",
    input: { trash: entry.home },
  };
}
