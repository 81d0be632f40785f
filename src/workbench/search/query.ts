import { createHash } from "node:crypto";
import type { CollectionRow, Database, Scope } from "#base/database/index.ts";
import {
  CursorStaleError,
  NotFoundError,
  type Notice,
  SpaceMismatchError,
} from "#base/errors/index.ts";
import type { Jobs } from "#base/jobs/index.ts";
import type { Embeddings, Space } from "#engine/embeddings/index.ts";
import type { Freshness, Location } from "./documents.ts";
import { checkFilter, type Filter } from "./filter.ts";
import { loadHits } from "./hits.ts";
import { rank, type RankContext, type RankDependencies } from "./rank.ts";

export const searchModes = ["hybrid", "semantic", "keyword"] as const;
export type SearchMode = (typeof searchModes)[number];

/** Weight of the semantic leg while the space has none that was measured. */
const unmeasuredWeight = 0.5;

export type SearchQuery = {
  query: string;
  collections?: readonly string[] | undefined;
  mode: SearchMode;
  weight?: number | undefined;
  minScore?: number | undefined;
  filter?: Filter | undefined;
  context?: string | undefined;
  limit: number;
};

export type Hit = {
  chunk: string;
  document: string;
  collection: string;
  key: string;
  title: string | null;
  snippet: string;
  highlights: [number, number][];
  location: Location;
  scores: { fused?: number; semantic?: number; keyword?: number };
  ranks: { semantic?: number; keyword?: number };
  freshness: Freshness;
};

export type Leg = {
  name: "semantic" | "keyword";
  state: "run" | "skipped" | "failed";
  candidates: number;
  approximate: false;
  reason?: string;
};

export type SearchAnswer = {
  items: Hit[];
  legs: Leg[];
  weight: number;
  space: { id: string; name: string };
  searched: { collections: number; documents: number; chunks: number };
};

/** Where a page begins and the state of the collections it belongs to. */
export type SearchPosition = { offset: number; state: string };

export type QueryDependencies = RankDependencies & {
  jobs: Jobs;
  /** What each collection held at the generation it was last counted at. */
  counted: Map<string, { generation: number; documents: number; chunks: number }>;
};

/** Ranks everything that `query` finds and answers one page of it. Raises SearchFailedError when no leg could run. */
export async function runQuery(
  dependencies: QueryDependencies,
  scope: Scope,
  query: SearchQuery,
  position: SearchPosition | null,
  options: { signal: AbortSignal; notice: (notice: Notice) => void },
): Promise<{ answer: SearchAnswer; next: SearchPosition | null }> {
  if (query.filter) checkFilter(query.filter);
  const readable = await readableCollections(dependencies.database, scope);
  const { collections, space } = await chooseCollections(
    dependencies.embeddings,
    readable,
    query,
    options.notice,
  );
  const state = stateOf(collections);
  if (position && position.state !== state)
    throw new CursorStaleError(
      "A searched collection changed since the page before. Start again without a cursor.",
    );
  const weight = weightOf(query, space);
  const context: RankContext = { query, space, weight, collections, ...options };
  const { ranked, legs, words, limited } = await rank(dependencies, context);
  const offset = position?.offset ?? 0;
  const page = ranked.slice(offset, offset + query.limit);
  const end = offset + page.length;
  if (limited && end === ranked.length)
    options.notice({
      code: "hits_limited",
      message: `Only the best ${ranked.length} candidates are ranked; narrow the query or filter.`,
    });
  const isIndexing = await tellIndexing(dependencies.jobs, collections, options.notice);
  const searched = await countSearched(dependencies, collections);
  if (searched.collections > 0 && searched.chunks === 0 && !isIndexing)
    options.notice({
      code: "collection_empty",
      message: `Nothing is indexed in the ${searched.collections} searched collections.`,
      details: searched,
    });
  const answer: SearchAnswer = {
    items: await loadHits(dependencies.database, page, words),
    legs,
    weight,
    space: { id: space.id, name: space.name },
    searched,
  };
  return { answer, next: end < ranked.length ? { offset: end, state } : null };
}

/** The weight of the semantic leg: what was asked for, else what was measured, else half. */
export function weightOf(query: { weight?: number | undefined }, space: Space): number {
  return query.weight ?? space.fusionWeight ?? unmeasuredWeight;
}

/** The collections that the caller may read, by id. */
export function readableCollections(database: Database, scope: Scope): Promise<CollectionRow[]> {
  return database.as(scope).select("collections").selectAll().orderBy("id").execute();
}

/**
 * What a query searches: the named collections, else those of the default space (of every space by keywords alone), and
 * the space it is embedded in. Raises NotFoundError for a name that is not among the readable ones, SpaceMismatchError.
 */
export async function chooseCollections(
  embeddings: Embeddings,
  readable: readonly CollectionRow[],
  query: Pick<SearchQuery, "collections" | "mode">,
  notice: (notice: Notice) => void,
): Promise<{ collections: CollectionRow[]; space: Space }> {
  if (query.collections === undefined) {
    if (query.mode === "keyword")
      return { collections: [...readable], space: await embeddings.space(readable[0]?.space_id) };
    const space = await embeddings.space();
    const chosen = readable.filter((row) => row.space_id === space.id);
    const left = readable.filter((row) => !chosen.includes(row));
    if (left.length > 0)
      notice({
        code: "collections_left_out",
        message: `${left.length} collections in other spaces were not searched; name them to search them.`,
        details: { collections: left.map(({ name }) => name) },
      });
    return { collections: chosen, space };
  }
  const chosen = query.collections.map((named, index) => {
    const row = readable.find(({ id, name }) => id === named || name === named);
    if (row) return row;
    throw new NotFoundError(`There is no collection "${named}".`, {
      errors: [{ pointer: `/collections/${index}`, message: "is not a collection you may read" }],
    });
  });
  const collections = readable.filter((row) => chosen.includes(row));
  const spaces = [...new Set(collections.map(({ space_id: space }) => space))];
  if (spaces.length > 1 && query.mode !== "keyword")
    throw new SpaceMismatchError(
      `The collections are of ${spaces.length} spaces; search them one space at a time or with mode keyword.`,
      {
        details: { collections: collections.map(({ name, space_id: space }) => ({ name, space })) },
      },
    );
  return { collections, space: await embeddings.space(spaces[0]) };
}

function stateOf(collections: readonly CollectionRow[]): string {
  const state = collections.map(({ id, generation }) => `${id}@${generation}`).join(",");
  return createHash("sha256").update(state).digest("base64url").slice(0, 22);
}

async function tellIndexing(
  jobs: Jobs,
  collections: readonly CollectionRow[],
  notice: (notice: Notice) => void,
): Promise<boolean> {
  let isIndexing = false;
  for (const collection of collections)
    for (const job of await jobs.activeOn(collection.id)) {
      isIndexing = true;
      notice({
        code: "still_indexing",
        message: `A job is still adding to ${collection.name}: ${job.done} of ${job.total ?? "an unknown number of"} ${job.unit} done.`,
        details: { collection: collection.name, job: job.id, done: job.done, total: job.total },
      });
    }
  return isIndexing;
}

/** What the searched collections hold: counted anew when one of them changed. */
async function countSearched(
  { database, counted }: QueryDependencies,
  collections: readonly CollectionRow[],
): Promise<SearchAnswer["searched"]> {
  const searched = { collections: collections.length, documents: 0, chunks: 0 };
  for (const { id, generation } of collections) {
    const known = counted.get(id);
    const counts =
      known?.generation === generation ? known : { generation, ...(await countIn(database, id)) };
    counted.set(id, counts);
    searched.documents += counts.documents;
    searched.chunks += counts.chunks;
  }
  return searched;
}

async function countIn(
  database: Database,
  collection: string,
): Promise<{ documents: number; chunks: number }> {
  const { documents, chunks } = await database.unscoped
    .selectFrom("documents")
    .select(({ fn }) => [
      fn.countAll<number>().as("documents"),
      fn.sum<number>("chunk_count").as("chunks"),
    ])
    .where("collection_id", "=", collection)
    .executeTakeFirstOrThrow();
  return { documents: Number(documents), chunks: Number(chunks ?? 0) };
}
