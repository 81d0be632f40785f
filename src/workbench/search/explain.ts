import type { ChunkRow, CollectionRow, Scope } from "#base/database/index.ts";
import {
  InputInvalidError,
  type Notice,
  NotFoundError,
  SpaceInvalidError,
} from "#base/errors/index.ts";
import { cosine, readEmbedding } from "#engine/embeddings/index.ts";
import { chooseWords, explainKeywords, type TermShare } from "./keyword-index.ts";
import {
  chooseCollections,
  type Hit,
  type QueryDependencies,
  readableCollections,
  type SearchMode,
  weightOf,
} from "./query.ts";
import { rank } from "./rank.ts";

export type PairShare = {
  query: { text: string; from: number; to: number };
  passage: { text: string; from: number; to: number };
  share: number;
};

export type Explanation = {
  chunk: string;
  scores: Hit["scores"];
  ranks: Hit["ranks"];
  weight: number;
  keyword: { terms: TermShare[]; dropped: string[] } | null;
  semantic: {
    cosine: number;
    pairs: PairShare[] | null;
    otherShare: number;
    sum: number;
  } | null;
  fused: { semanticScaled: number; keywordScaled: number; value: number } | null;
};

export type ExplainQuery = {
  query: string;
  chunk: string;
  mode: SearchMode;
  weight?: number | undefined;
  collections?: readonly string[] | undefined;
};

/** Why a chunk has its score: each word's part of bm25, each token pair's part of the cosine, and how they were fused. */
export async function explainHit(
  dependencies: QueryDependencies,
  scope: Scope,
  asked: ExplainQuery,
  options: { signal: AbortSignal; notice: (notice: Notice) => void },
): Promise<Explanation> {
  const { database, embeddings } = dependencies;
  const chunk = await findChunk(dependencies, scope, asked.chunk);
  const readable = await readableCollections(database, scope);
  const collection = readable.find(({ id }) => id === chunk.collection_id);
  if (!collection) throw noChunk(asked.chunk);
  const space = await embeddings.space(collection.space_id);
  const weight = weightOf(asked, space);
  const { ranked, fused, legs } = await rank(dependencies, {
    query: { query: asked.query, mode: asked.mode },
    space,
    weight,
    collections: await sameSearch(dependencies, readable, asked, collection, options.notice),
    ...options,
  });
  const hit = ranked.find(({ id }) => id === chunk.id);
  const parts = fused.find(({ id }) => id === chunk.id);
  const words = await chooseWords(database, collection, asked.query);
  return {
    chunk: chunk.id,
    scores: hit?.scores ?? {},
    ranks: hit?.ranks ?? {},
    weight,
    keyword:
      asked.mode === "semantic"
        ? null
        : {
            terms: await explainKeywords(database, collection.id, words, chunk.row),
            dropped: words.filter(({ dropped }) => dropped !== null).map(({ word }) => word),
          },
    semantic:
      asked.mode === "keyword" ||
      legs.some(({ name, state }) => name === "semantic" && state === "failed")
        ? null
        : await explainMeaning(dependencies, collection, chunk, asked.query, options.signal),
    fused:
      asked.mode === "hybrid" && parts
        ? {
            semanticScaled: parts.semanticScaled,
            keywordScaled: parts.keywordScaled,
            value: parts.fused,
          }
        : null,
  };
}

/** The chunk, when the caller may read its collection. Raises NotFoundError otherwise. */
async function findChunk(
  { database }: QueryDependencies,
  scope: Scope,
  id: string,
): Promise<ChunkRow> {
  const chunk = await database
    .as(scope)
    .select("chunks")
    .selectAll()
    .where("chunks.id", "=", id)
    .executeTakeFirst();
  if (!chunk) throw noChunk(id);
  return chunk;
}

function noChunk(id: string): Error {
  return new NotFoundError(`There is no chunk "${id}".`);
}

/**
 * The collections among which the chunk was ranked: those named, else the readable ones of its space, or of every space
 * by keywords alone. Raises what the search itself raises for names, and InputInvalidError when they leave the chunk out.
 */
async function sameSearch(
  { embeddings }: QueryDependencies,
  readable: readonly CollectionRow[],
  asked: ExplainQuery,
  own: CollectionRow,
  notice: (notice: Notice) => void,
): Promise<CollectionRow[]> {
  if (asked.collections === undefined)
    return readable.filter((row) => asked.mode === "keyword" || row.space_id === own.space_id);
  const { collections } = await chooseCollections(embeddings, readable, asked, notice);
  if (collections.includes(own)) return collections;
  throw new InputInvalidError(
    `The chunk is of collection "${own.name}", which is not among those named.`,
    { errors: [{ pointer: "/collections", message: `name ${own.name} too` }] },
  );
}

async function explainMeaning(
  { database, embeddings }: QueryDependencies,
  collection: CollectionRow,
  chunk: ChunkRow,
  query: string,
  signal: AbortSignal,
): Promise<Explanation["semantic"]> {
  const space = await embeddings.space(collection.space_id);
  const stored = await database.read
    .selectFrom("vectors")
    .select("vector")
    .where("chunk_key", "=", chunk.key)
    .where("space_id", "=", space.id)
    .executeTakeFirst();
  // Null says that the leg was not asked for or has failed, with a notice; neither is so here.
  if (!stored)
    throw new SpaceInvalidError(
      `Chunk ${chunk.id} has no vector in space ${space.name}. Delete its document and index it again.`,
    );
  const [item] = await embeddings.embed(space, [query], { kind: "query", signal });
  if (!item || "error" in item) throw item?.error ?? new TypeError("no vector came back");
  const passage = chunk.prefix + chunk.text;
  const { pairs, otherShare, sum } = await embeddings.pairs(space, query, passage, signal);
  return {
    cosine: cosine(item.embedding, readEmbedding(space, stored.vector)),
    pairs: [...pairs],
    otherShare,
    sum,
  };
}
