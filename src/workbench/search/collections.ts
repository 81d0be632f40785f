import { type Kysely, sql } from "kysely";
import type { Access, Principal } from "#base/access/index.ts";
import {
  type CollectionRow,
  type Database,
  type GrantLevel,
  newId,
  type Scope,
  type Tables,
} from "#base/database/index.ts";
import {
  AlreadyExistsError,
  InputInvalidError,
  NotFoundError,
  PermissionDeniedError,
} from "#base/errors/index.ts";
import type { Embeddings, Space } from "#engine/embeddings/index.ts";
import { createKeywordTable } from "./keyword-index.ts";
import { countedWrite, nextTurn, type Turn } from "./purge-trash.ts";
import { type Counts, openTrashEntry, type Trashing, type Undo } from "./trash-rows.ts";

/** Tokens of one chunk and of its overlap with the one before, unless the collection says otherwise. */
const defaultChunking = { maxTokens: 384, overlapTokens: 48 };

/** Longest chunk of any collection, in tokens of its space. */
const longestChunk = 512;

/** A collection as every door shows it. */
export type Collection = {
  id: string;
  name: string;
  kind: "document";
  space: { id: string; name: string; dims: number; modelRevision: string };
  chunking: { maxTokens: number; overlapTokens: number };
  description: string | null;
  counts: Counts;
  index: { kind: "exact"; state: "ready"; generation: number };
  right: GrantLevel;
  createdAt: string;
  updatedAt: string;
};

/** What a delete took out of sight, or would; null as `undo` for a dry run, which leaves nothing to undo. */
export type Deleted = {
  deleted: Counts;
  dependents: { type: string; count: number }[];
  dryRun: boolean;
  undo: Undo | null;
};

export type CreateCollection = {
  name: string;
  space?: string | undefined;
  chunking?: { maxTokens: number; overlapTokens: number } | undefined;
  description?: string | undefined;
};

type Dependencies = {
  database: Database;
  access: Access;
  embeddings: Embeddings;
  trashing: (by: Principal) => Trashing;
};

export type Collections = {
  /** The collection of this id or name, whoever owns it: callers check the right. Raises NotFoundError. */
  readonly find: (named: string) => Promise<CollectionRow>;
  create(principal: Principal, wanted: CreateCollection): Promise<Collection>;
  list(
    principal: Principal,
    scope: Scope,
    page: { after?: string | undefined; limit: number },
  ): Promise<Collection[]>;
  view(row: CollectionRow, right: GrantLevel): Promise<Collection>;
  update(
    row: CollectionRow,
    change: { name?: string | undefined; description?: string | null | undefined },
    right: GrantLevel,
  ): Promise<Collection>;
  /** Moves it to the trash; a dry run only counts. */
  delete(row: CollectionRow, by: Principal, dryRun: boolean): Promise<Deleted>;
};

export function createCollections(dependencies: Dependencies): Collections {
  const { database, embeddings, access } = dependencies;
  const view = async (row: CollectionRow, right: GrantLevel): Promise<Collection> => {
    const space = await embeddings.space(row.space_id);
    return toCollection(row, space, right, await counts(database.unscoped, row));
  };
  return {
    find: (named) => findCollection(database, named),
    create: (principal, wanted) => createCollection(dependencies, principal, wanted),
    list: async (principal, scope, { after, limit }) => {
      let query = database.as(scope).select("collections").selectAll();
      if (after !== undefined) query = query.where("id", ">", after);
      const rows = await query.orderBy("id").limit(limit).execute();
      const views: Collection[] = [];
      for (const row of rows) {
        const right = await access.rightOn(principal, row.id);
        if (right !== null) views.push(await view(row, right));
      }
      return views;
    },
    view,
    update: async (row, change, right) => {
      if (change.name === undefined && change.description === undefined)
        throw new InputInvalidError("There is nothing to change: give a name or a description.", {
          errors: [
            { pointer: "/name", message: "give a name or a description" },
            { pointer: "/description", message: "give a name or a description" },
          ],
        });
      const set = {
        ...(change.name === undefined ? {} : { name: change.name }),
        ...(change.description === undefined ? {} : { description: change.description }),
      };
      const space = await embeddings.space(row.space_id);
      const held = await counts(database.unscoped, row);
      try {
        return await database.write(async ({ tables, answer }) => {
          const updated = await tables
            .updateTable("collections")
            .set({ ...set, updated_at: Date.now() })
            .where("id", "=", row.id)
            .where("trash_id", "is", null)
            .returningAll()
            .executeTakeFirst();
          if (!updated) throw new NotFoundError(`There is no collection "${row.name}" any more.`);
          return answer(toCollection(updated, space, right, held));
        });
      } catch (thrown) {
        throw nameTaken(thrown, change.name ?? row.name);
      }
    },
    delete: (row, by, dryRun) =>
      deleteCollection(database, row, dryRun ? null : dependencies.trashing(by)),
  };
}

async function findCollection(database: Database, named: string): Promise<CollectionRow> {
  const row = await database.unscoped
    .selectFrom("collections")
    .selectAll()
    // Ids have capital letters and names have none: no name is an id.
    .where((is) => is.or([is("id", "=", named), is("name", "=", named)]))
    .where("trash_id", "is", null)
    .executeTakeFirst();
  if (!row) throw new NotFoundError(`There is no collection "${named}".`);
  return row;
}

async function createCollection(
  { database, embeddings }: Dependencies,
  principal: Principal,
  wanted: CreateCollection,
): Promise<Collection> {
  if (principal.limited)
    throw new PermissionDeniedError(
      "This key is limited to the collections it was given and makes no new ones.",
    );
  const space = await embeddings.space(wanted.space);
  const limit = Math.min(longestChunk, space.maxTokens ?? longestChunk);
  const chunking = wanted.chunking ?? {
    maxTokens: Math.min(defaultChunking.maxTokens, limit),
    overlapTokens: Math.min(defaultChunking.overlapTokens, Math.floor(limit / 4)),
  };
  checkChunking(chunking, limit, space);
  const now = Date.now();
  const row: CollectionRow = {
    id: newId("col"),
    name: wanted.name,
    kind: "document",
    space_id: space.id,
    max_tokens: chunking.maxTokens,
    overlap_tokens: chunking.overlapTokens,
    description: wanted.description ?? null,
    generation: 0,
    created_at: now,
    updated_at: now,
    trash_id: null,
  };
  try {
    return await database.write(async ({ tables, answer }) => {
      await tables.insertInto("collections").values(row).execute();
      await tables
        .insertInto("grants")
        .values({
          principal_id: principal.owner,
          collection_id: row.id,
          level: "owner",
          created_at: now,
        })
        .execute();
      await createKeywordTable(tables, row.id);
      const none = { documents: 0, chunks: 0, vectors: 0, bytes: 0 };
      return answer(toCollection(row, space, "owner", none));
    });
  } catch (thrown) {
    throw nameTaken(thrown, wanted.name);
  }
}

function checkChunking(
  chunking: { maxTokens: number; overlapTokens: number },
  limit: number,
  space: Space,
): void {
  const refuse = (field: "maxTokens" | "overlapTokens", most: number, why: string) =>
    new InputInvalidError(`chunking.${field} is ${chunking[field]}; ${why} ${most}.`, {
      errors: [{ pointer: `/chunking/${field}`, message: `at most ${most}` }],
    });
  if (chunking.maxTokens > limit)
    throw refuse("maxTokens", limit, `in space ${space.name} a chunk has at most`);
  const half = Math.floor(chunking.maxTokens / 2);
  if (chunking.overlapTokens > half)
    throw refuse("overlapTokens", half, "it is at most half of maxTokens,");
}

/**
 * Takes a collection out of sight in one small transaction, however large it is: its row is marked and its name freed,
 * all that is in it stays where it is until it is restored or removed for good. Null as `trashing` only counts.
 */
async function deleteCollection(
  database: Database,
  row: CollectionRow,
  trashing: Trashing | null,
): Promise<Deleted> {
  if (trashing === null) {
    const counted = await whatGoes(database.unscoped, row, nextTurn);
    return { ...counted, dryRun: true, undo: null };
  }
  return countedWrite(
    database,
    (tables, turn) => whatGoes(tables, row, turn),
    async ({ tables, answer }, counted) => {
      const now = await tables
        .selectFrom("collections")
        .select("name")
        .where("id", "=", row.id)
        .where("trash_id", "is", null)
        .executeTakeFirst();
      if (!now) throw new NotFoundError(`There is no collection "${row.name}" any more.`);
      const what = { kind: "collection", collection_id: row.id, thing_id: row.id } as const;
      const entry = { ...what, name: now.name };
      const undo = await openTrashEntry(tables, entry, counted.deleted, trashing);
      await tables
        .updateTable("collections")
        .set({ trash_id: undo.trash, name: row.id })
        .where("id", "=", row.id)
        .execute();
      return answer({ ...counted, dryRun: false, undo });
    },
  );
}

/** Counts what deleting a collection takes out of sight. */
async function whatGoes(
  tables: Kysely<Tables>,
  row: CollectionRow,
  turn: Turn,
): Promise<Pick<Deleted, "deleted" | "dependents">> {
  const jobs = await tables
    .selectFrom("jobs")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("target_id", "=", row.id)
    .where("state", "in", ["queued", "running"])
    .executeTakeFirstOrThrow();
  const held = await tables
    .selectFrom("documents")
    .select(({ fn }) => [
      fn.countAll<number>().as("documents"),
      fn.sum<number>("chunk_count").as("chunks"),
      fn.sum<number>("bytes").as("bytes"),
    ])
    .where("collection_id", "=", row.id)
    .executeTakeFirstOrThrow();
  return {
    deleted: {
      documents: Number(held.documents),
      chunks: Number(held.chunks ?? 0),
      vectors: await countOwnVectors(tables, row, turn),
      bytes: Number(held.bytes ?? 0),
    },
    dependents: [{ type: "job", count: Number(jobs.count) }],
  };
}

/** Keys that are looked up before other work gets a turn: a few milliseconds. */
const keysPerTurn = 500;

/** How many vectors no other collection in sight needs. */
async function countOwnVectors(
  tables: Kysely<Tables>,
  row: CollectionRow,
  turn: Turn,
): Promise<number> {
  let own = 0;
  for (let after = ""; ;) {
    const page = await sql<{ key: string; own: number }>`select key, exists (
        select 1 from vectors where chunk_key = page.key and space_id = ${row.space_id}
      ) and not exists (
        select 1 from chunks join collections on collections.id = chunks.collection_id
        where chunks.key = page.key and collections.space_id = ${row.space_id}
          and collections.trash_id is null and collections.id <> ${row.id}
      ) as own
      from (select distinct key from chunks where collection_id = ${row.id} and key > ${after}
        order by key limit ${keysPerTurn}) as page`.execute(tables);
    own += page.rows.filter((found) => found.own === 1).length;
    const last = page.rows.at(-1);
    if (!last || page.rows.length < keysPerTurn) return own;
    after = page.rows.reduce((most, { key }) => (key > most ? key : most), "");
    await turn();
  }
}

/** What a collection holds, counted now. */
async function counts(tables: Kysely<Tables>, row: CollectionRow): Promise<Collection["counts"]> {
  const documents = await tables
    .selectFrom("documents")
    .select(({ fn }) => [fn.countAll<number>().as("count"), fn.sum<number>("bytes").as("bytes")])
    .where("collection_id", "=", row.id)
    .executeTakeFirstOrThrow();
  const chunks = await tables
    .selectFrom("chunks")
    .leftJoin("vectors", (join) =>
      join.onRef("vectors.chunk_key", "=", "chunks.key").on("vectors.space_id", "=", row.space_id),
    )
    .select(({ fn }) => [
      fn.countAll<number>().as("count"),
      fn.count<number>("vectors.chunk_key").as("vectors"),
    ])
    .where("chunks.collection_id", "=", row.id)
    .executeTakeFirstOrThrow();
  return {
    documents: Number(documents.count),
    chunks: Number(chunks.count),
    vectors: Number(chunks.vectors),
    bytes: Number(documents.bytes ?? 0),
  };
}

function toCollection(
  row: CollectionRow,
  space: Space,
  right: GrantLevel,
  held: Collection["counts"],
): Collection {
  return {
    id: row.id,
    name: row.name,
    kind: "document",
    space: {
      id: space.id,
      name: space.name,
      dims: space.dims,
      modelRevision: space.model.revision,
    },
    chunking: { maxTokens: row.max_tokens, overlapTokens: row.overlap_tokens },
    description: row.description,
    counts: held,
    index: { kind: "exact", state: "ready", generation: row.generation },
    right,
    createdAt: new Date(row.created_at).toISOString(),
    updatedAt: new Date(row.updated_at).toISOString(),
  };
}

function nameTaken(thrown: unknown, name: string): unknown {
  if (!(thrown instanceof AlreadyExistsError)) return thrown;
  return new AlreadyExistsError(`The collection name "${name}" is taken. Choose another one.`, {
    cause: thrown,
    errors: [{ pointer: "/name", message: "is taken" }],
  });
}
