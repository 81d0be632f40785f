import type { Kysely } from "kysely";
import type { Access, Principal } from "#base/access/index.ts";
import {
  type CollectionRow,
  type Database,
  type GrantLevel,
  newId,
  type Scope,
  type Tables,
} from "#base/database/index.ts";
import { AlreadyExistsError, InputInvalidError, NotFoundError } from "#base/errors/index.ts";
import type { Embeddings, Space } from "#engine/embeddings/index.ts";
import { createKeywordTable, dropKeywordTable } from "./keyword-index.ts";
import { countOwnVectors, dropUnusedVectors } from "./store-document.ts";

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
  counts: { documents: number; chunks: number; vectors: number; bytes: number };
  index: { kind: "exact"; state: "ready"; generation: number };
  right: GrantLevel;
  createdAt: string;
  updatedAt: string;
};

/** What a delete removed, or would remove. Deletes are final: there is nothing to undo them with. */
export type Deleted = {
  deleted: { documents: number; chunks: number; vectors: number; bytes: number };
  dependents: { type: string; count: number }[];
  dryRun: boolean;
  undo: null;
};

export type CreateCollection = {
  name: string;
  space?: string | undefined;
  chunking?: { maxTokens: number; overlapTokens: number } | undefined;
  description?: string | undefined;
};

type Dependencies = { database: Database; access: Access; embeddings: Embeddings };

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
  delete(row: CollectionRow, dryRun: boolean): Promise<Deleted>;
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
      try {
        await database.write(({ tables }) =>
          tables
            .updateTable("collections")
            .set({ ...set, updated_at: Date.now() })
            .where("id", "=", row.id)
            .execute(),
        );
      } catch (thrown) {
        throw nameTaken(thrown, change.name ?? row.name);
      }
      return view(await findCollection(database, row.id), right);
    },
    delete: (row, dryRun) => deleteCollection(database, row, dryRun),
  };
}

async function findCollection(database: Database, named: string): Promise<CollectionRow> {
  const row = await database.unscoped
    .selectFrom("collections")
    .selectAll()
    // Ids have capital letters and names have none: no name is an id.
    .where((is) => is.or([is("id", "=", named), is("name", "=", named)]))
    .executeTakeFirst();
  if (!row) throw new NotFoundError(`There is no collection "${named}".`);
  return row;
}

async function createCollection(
  { database, embeddings }: Dependencies,
  principal: Principal,
  wanted: CreateCollection,
): Promise<Collection> {
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
  };
  try {
    return await database.write(async ({ tables, answer }) => {
      await tables.insertInto("collections").values(row).execute();
      await tables
        .insertInto("grants")
        .values({
          principal_id: principal.id,
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

async function deleteCollection(
  database: Database,
  row: CollectionRow,
  dryRun: boolean,
): Promise<Deleted> {
  if (dryRun) return whatGoes(database.unscoped, row, true);
  return database.write(async ({ tables, answer }) => {
    const answered = await whatGoes(tables, row, false);
    const keys = await tables
      .selectFrom("chunks")
      .select("key")
      .distinct()
      .where("collection_id", "=", row.id)
      .execute();
    await tables.deleteFrom("chunks").where("collection_id", "=", row.id).execute();
    await tables.deleteFrom("documents").where("collection_id", "=", row.id).execute();
    await tables.deleteFrom("grants").where("collection_id", "=", row.id).execute();
    const { numDeletedRows } = await tables
      .deleteFrom("collections")
      .where("id", "=", row.id)
      .executeTakeFirst();
    if (numDeletedRows === 0n)
      throw new NotFoundError(`There is no collection "${row.name}" any more.`);
    await dropUnusedVectors(
      tables,
      database,
      keys.map(({ key }) => key),
    );
    await dropKeywordTable(tables, row.id);
    return answer(answered);
  });
}

/** Counts what deleting a collection removes, in the transaction that removes it. */
async function whatGoes(
  tables: Kysely<Tables>,
  row: CollectionRow,
  dryRun: boolean,
): Promise<Deleted> {
  const jobs = await tables
    .selectFrom("jobs")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("target_id", "=", row.id)
    .where("state", "in", ["queued", "running"])
    .executeTakeFirstOrThrow();
  const owner = { column: "chunks.collection_id", id: row.id } as const;
  const vectors = await countOwnVectors(tables, row.space_id, owner);
  return {
    deleted: { ...(await counts(tables, row)), vectors },
    dependents: [{ type: "job", count: Number(jobs.count) }],
    dryRun,
    undo: null,
  };
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
