import type { ChunkRow, CollectionRow, Scope } from "#base/database/index.ts";
import { type Notice, NotFoundError } from "#base/errors/index.ts";
import { cosine, readEmbedding } from "#engine/embeddings/index.ts";
import { fuse } from "./fuse.ts";
import { chooseWords, explainKeywords, type TermShare } from "./keyword-index.ts";
import { type Hit, type QueryDependencies, rank, type SearchMode } from "./query.ts";

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
  const collection = await database.unscoped
    .selectFrom("collections")
    .selectAll()
    .where("id", "=", chunk.collection_id)
    .executeTakeFirstOrThrow();
  const space = await embeddings.space(collection.space_id);
  const weight = asked.weight ?? space.fusionWeight ?? 0.5;
  const ranked = await rank(dependencies, {
    query: { query: asked.query, mode: asked.mode, limit: 100 },
    space,
    weight,
    collections: await sameSearch(dependencies, scope, asked, collection),
    ...options,
  });
  const hit = ranked.ranked.find(({ id }) => id === chunk.id);
  const words = await chooseWords(database, collection, asked.query);
  const fused = fuse(ranked.candidates, weight).find(({ id }) => id === chunk.id);
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
      asked.mode === "keyword"
        ? null
        : await explainMeaning(dependencies, collection, chunk, asked.query, options.signal),
    fused:
      asked.mode === "hybrid" && fused
        ? {
            semanticScaled: fused.semanticScaled,
            keywordScaled: fused.keywordScaled,
            value: fused.fused,
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
  if (!chunk) throw new NotFoundError(`There is no chunk "${id}".`);
  return chunk;
}

/** The collections among which the chunk was ranked: those named, else the readable ones of its space. */
async function sameSearch(
  { database }: QueryDependencies,
  scope: Scope,
  asked: ExplainQuery,
  own: CollectionRow,
): Promise<CollectionRow[]> {
  const readable = await database
    .as(scope)
    .select("collections")
    .selectAll()
    .orderBy("id")
    .execute();
  return readable.filter(
    (row) =>
      row.space_id === own.space_id &&
      (asked.collections === undefined ||
        row.id === own.id ||
        asked.collections.some((named) => named === row.id || named === row.name)),
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
  if (!stored) return null;
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
