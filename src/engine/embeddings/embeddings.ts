import { sql } from "kysely";
import { type Database, newId, type Scope } from "#base/database/index.ts";
import { type CandorError, NotFoundError, toCandorError } from "#base/errors/index.ts";
import type { Metrics } from "#base/telemetry/index.ts";
import type { OpenStaticModel, StaticRuntime, TokenPairs } from "#engine/runtimes/index.ts";
import { type Embedding, toEmbedding } from "./embedding.ts";
import { type MeasuredFusion, readMeasuredFusion } from "./measured-fusion.ts";
import { type Space, type SpaceFacts, spaceIdentity, type SpaceRow, toSpace } from "./space.ts";

/** One text's outcome: a vector of the space, or the error that kept it from one. */
export type EmbeddedItem =
  | {
      readonly index: number;
      readonly embedding: Embedding;
      readonly tokens: number;
      readonly truncated: { readonly tokens: number; readonly limit: number } | null;
    }
  | { readonly index: number; readonly error: CandorError };

export type SpaceCounts = { readonly vectors: number; readonly collections: number };

type EmbedOptions = { readonly kind: "query" | "passage"; readonly signal?: AbortSignal };

export type Embeddings = {
  /**
   * The space of this id or name; the default space without one. Raises NotFoundError, or why its model cannot be opened.
   * An id needs no model: `default` is false until `list` or the default space was asked for.
   */
  space(named?: string): Promise<Space>;
  list(): Promise<Space[]>;
  /** What is stored in a space and may be read in this scope. */
  counts(space: Space, scope: Scope): Promise<SpaceCounts>;
  /**
   * The only way to a vector: one outcome per text, in order. A text that fails has its error and no vector; a model or
   * worker that fails as a whole raises.
   */
  embed(space: Space, texts: readonly string[], options: EmbedOptions): Promise<EmbeddedItem[]>;
  /** The exact share of each token pair in the cosine of two texts of a mean-pooled space. */
  pairs(space: Space, query: string, passage: string, signal?: AbortSignal): Promise<TokenPairs>;
  /** The folder whose tokenizer counts this space's tokens. Raises as `embed` does when its model is not here. */
  folderOf(space: Space): Promise<string>;
};

type Known = { space: Space; folder: string; model: OpenStaticModel };

export type EmbeddingsDependencies = {
  database: Database;
  metrics: Metrics;
  runtime: StaticRuntime;
  /** Folders of static models; the first is the default space. */
  folders: readonly string[];
};

/** The room of spaces and vectors. Models are opened when first needed. */
export function createEmbeddings(dependencies: EmbeddingsDependencies): Embeddings {
  const { database, folders } = dependencies;
  const models = openModels(dependencies);
  const modelOf = async (space: Space): Promise<Known> => {
    const entry = await models.find(space.id);
    if (entry) return entry;
    throw new NotFoundError(`The model of space "${space.name}" is not here any more.`);
  };
  return {
    space: async (named) => {
      if (named === undefined) return (await models.open(folders[0] ?? "")).space;
      const before = models.opened(named);
      if (before) return before.space;
      // A space whose model is gone is still a space: keyword search and lists go on; embedding says what is missing.
      const stored = await findStored(database, named);
      if (stored) return toSpace(stored, false);
      const entry = await models.find(named);
      if (entry) return entry.space;
      const valid = (await models.all()).map(({ space }) => space.name).join(", ");
      throw new NotFoundError(`There is no space "${named}". There are: ${valid}.`);
    },
    list: async () => (await models.all()).map(({ space }) => space),
    counts: (space, scope) =>
      scope.read === "all" ? countSpace(database, space) : countReadable(database, scope, space),
    embed: async (space, texts, options) =>
      embed(dependencies, await modelOf(space), texts, options),
    pairs: async (space, query, passage, signal) => {
      const { model } = await modelOf(space);
      return model.explainPairs(query, passage, { signal });
    },
    folderOf: async (space) => (await modelOf(space)).folder,
  };
}

/** The models of the folders with their spaces, each opened once. */
function openModels({ database, runtime, folders }: EmbeddingsDependencies) {
  const known = new Map<string, Known>();
  const open = async (folder: string): Promise<Known> => {
    const before = known.get(folder);
    if (before) return before;
    const model = runtime.open(folder);
    const { name, revision, dims, maxTokens, prefixes } = await model.describe();
    const row = await rememberSpace(
      database,
      { name, revision, dims, maxTokens, prefixes },
      await readMeasuredFusion(folder),
    );
    const entry = { space: toSpace(row, folder === folders[0]), folder, model };
    known.set(folder, entry);
    return entry;
  };
  const opened = (named: string): Known | undefined =>
    [...known.values()].find(({ space: { id, name } }) => id === named || name === named);
  return {
    open,
    /** The space of this id or name among those that are open. */
    opened,
    /** All of them, in the order of the folders. */
    all: async (): Promise<Known[]> => {
      const entries: Known[] = [];
      for (const folder of folders) entries.push(await open(folder));
      return entries;
    },
    /** The space of this id or name, opening all models once it is not among the open ones. */
    find: async (named: string): Promise<Known | undefined> => {
      const before = opened(named);
      if (before) return before;
      const settled = await Promise.allSettled(folders.map(open));
      const found = opened(named);
      // One broken model does not keep the others from being found; it may be the one that is looked for.
      const broken = settled.find((one) => one.status === "rejected");
      if (!found && broken) throw broken.reason;
      return found;
    },
  };
}

async function embed(
  { metrics }: EmbeddingsDependencies,
  { space, model }: Known,
  texts: readonly string[],
  { kind, signal }: EmbedOptions,
): Promise<EmbeddedItem[]> {
  if (texts.length === 0) return [];
  const { vectors, items } = await model.embed(texts, kind, { signal });
  return items.map((item, index): EmbeddedItem => {
    try {
      if (item.error) throw item.error;
      // A copy of its own: the batch's memory does not live on with one vector of it.
      const values = vectors.slice(index * space.dims, (index + 1) * space.dims);
      const embedding = toEmbedding(space, values);
      metrics.embedding(space.name, "ok");
      return { index, embedding, tokens: item.tokens, truncated: item.truncated };
    } catch (thrown) {
      const error = toCandorError(thrown);
      metrics.embedding(space.name, error.code);
      return { index, error };
    }
  });
}

async function findStored(database: Database, named: string): Promise<SpaceRow | undefined> {
  return database.read.selectFrom("spaces").selectAll().where("id", "=", named).executeTakeFirst();
}

/** The stored space of these facts, a new one the first time they are met, with what was measured for it last. */
async function rememberSpace(
  database: Database,
  facts: SpaceFacts,
  measured: MeasuredFusion | null,
): Promise<SpaceRow> {
  const identity = spaceIdentity(facts);
  const find = () =>
    database.read
      .selectFrom("spaces")
      .selectAll()
      .where("identity", "=", identity)
      .executeTakeFirst();
  const fusion = {
    fusion_weight: measured?.fusionWeight ?? null,
    fusion_measured_at: measured?.at ?? null,
    fusion_data_hash: measured?.dataHash ?? null,
  };
  const stored = await find();
  if (stored && (measured === null || measured.at <= (stored.fusion_measured_at ?? -Infinity)))
    return stored;
  const row: SpaceRow = {
    id: newId("spc"),
    identity,
    name: facts.name,
    runtime: "static",
    model_name: facts.name,
    model_revision: facts.revision,
    pooling: "mean",
    normalized: 1,
    dims: facts.dims,
    max_tokens: facts.maxTokens,
    prefixes: JSON.stringify(facts.prefixes),
    ...fusion,
    created_at: Date.now(),
  };
  await database.write(({ tables }) =>
    tables
      .insertInto("spaces")
      .values(row)
      .onConflict((conflict) => conflict.column("identity").doUpdateSet(fusion))
      .execute(),
  );
  return (await find()) ?? row;
}

async function countSpace(database: Database, space: Space): Promise<SpaceCounts> {
  const vectors = await database.read
    .selectFrom("vectors")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("space_id", "=", space.id)
    .executeTakeFirstOrThrow();
  const collections = await database.unscoped
    .selectFrom("collections")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("space_id", "=", space.id)
    .where("trash_id", "is", null)
    .executeTakeFirstOrThrow();
  const kept = await countKeptForTrash(database, space.id);
  return { vectors: Number(vectors.count) - kept, collections: Number(collections.count) };
}

/** The same for a caller who may read some collections alone: what is in others shows in no number. */
async function countReadable(database: Database, scope: Scope, space: Space): Promise<SpaceCounts> {
  const collections = await database
    .as(scope)
    .select("collections")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("space_id", "=", space.id)
    .where("trash_id", "is", null)
    .executeTakeFirstOrThrow();
  const vectors = await database
    .as(scope)
    .select("chunks")
    .innerJoin("collections", "collections.id", "chunks.collection_id")
    .innerJoin("vectors", "vectors.chunk_key", "chunks.key")
    .select(({ fn }) => fn.count<number>("chunks.key").distinct().as("count"))
    .where("vectors.space_id", "=", space.id)
    .where("collections.space_id", "=", space.id)
    .where("collections.trash_id", "is", null)
    .executeTakeFirstOrThrow();
  return { vectors: vectors.count, collections: collections.count };
}

/** Vectors that only what lies in the trash still names: they are kept, and count as gone. */
async function countKeptForTrash(database: Database, space: string): Promise<number> {
  const found = await sql<{ count: number }>`select count(*) as count from (
      select chunks.key from collections join chunks on chunks.collection_id = collections.id
      where collections.space_id = ${space} and collections.trash_id is not null
      union select trashed_chunks.key from collections join trashed_chunks on trashed_chunks.collection_id = collections.id
      where collections.space_id = ${space}) as kept
    where exists (select 1 from vectors where chunk_key = kept.key and space_id = ${space})
      and not exists (select 1 from chunks join collections on collections.id = chunks.collection_id
        where chunks.key = kept.key and collections.space_id = ${space} and collections.trash_id is null)`.execute(
    database.unscoped,
  );
  return Number(found.rows[0]?.count ?? 0);
}
