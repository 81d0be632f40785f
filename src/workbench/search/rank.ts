import type { CollectionRow, Database } from "#base/database/index.ts";
import {
  type CandorError,
  type Notice,
  SearchFailedError,
  toCandorError,
} from "#base/errors/index.ts";
import type { Ledger } from "#base/ledger/index.ts";
import type { Embedding, Embeddings, Space } from "#engine/embeddings/index.ts";
import { filterDocuments } from "./filter.ts";
import { type Candidate, compareIds, fuse, type Fused } from "./fuse.ts";
import { chooseWords, matchKeywords, type QueryWord } from "./keyword-index.ts";
import type { Hit, Leg, SearchMode, SearchQuery } from "./query.ts";
import type { VectorIndex } from "./vector-index.ts";

/**
 * Best candidates of each leg that are fused and paged through. Scaling is by the least of them: with more of them it
 * would hang on how many poor ones there are, and so on the size of the collection (bench: 100 beat 1,000 on both
 * labelled sets).
 */
const fusedPerLeg = 100;

/** Best candidates where only one leg ranks and nothing is scaled. */
const candidatesOfOneLeg = 1000;

/** How deep each leg ranks for this weight of the semantic one. */
function depthFor(weight: number): number {
  return weight === 0 || weight === 1 ? candidatesOfOneLeg : fusedPerLeg;
}

export type RankedHit = {
  readonly id: string;
  readonly row: number;
  readonly collection: CollectionRow;
  readonly scores: Hit["scores"];
  readonly ranks: Hit["ranks"];
};

export type RankDependencies = {
  database: Database;
  embeddings: Embeddings;
  vectors: VectorIndex;
  ledger: Ledger;
};

/** What is ranked: a query with the collections and the space that were chosen for it. */
export type RankContext = {
  query: Omit<SearchQuery, "collections" | "limit">;
  space: Space;
  weight: number;
  collections: readonly CollectionRow[];
  signal: AbortSignal;
  notice: (notice: Notice) => void;
};

type LegResult = {
  leg: Leg;
  /** Score by chunk id, best first. */
  scores: Map<string, { score: number; row: number; collection: CollectionRow }>;
  error?: CandorError;
};

/**
 * Both legs and their fusion, without loading any text. `fused` holds every candidate, also those below `minScore`;
 * `limited`: a leg had more to rank than its depth.
 */
export async function rank(
  dependencies: RankDependencies,
  context: RankContext,
): Promise<{
  ranked: RankedHit[];
  legs: Leg[];
  words: string[];
  fused: Fused[];
  limited: boolean;
}> {
  const { mode } = context.query;
  const weight = mode === "hybrid" ? context.weight : mode === "semantic" ? 1 : 0;
  const words = new Map<string, QueryWord[]>();
  for (const collection of context.collections)
    words.set(
      collection.id,
      await chooseWords(dependencies.database, collection, context.query.query),
    );
  const documents = await filtered(dependencies.database, context);
  // Words are matched on this thread while a worker embeds the query.
  const [semantic, keyword] = await Promise.all([
    semanticLeg(dependencies, context, weight, documents),
    keywordLeg(dependencies, context, weight, words, documents),
  ]);
  await settleFailures(dependencies.ledger, context, semantic, keyword);
  const effective = semantic.error ? 0 : keyword.error ? 1 : weight;
  const fused = fuse(join(semantic, keyword), effective);
  const ranked = order(fused, semantic, keyword, mode).filter(
    (hit) =>
      context.query.minScore === undefined ||
      (hit.scores[mode === "hybrid" ? "fused" : mode] ?? -Infinity) >= context.query.minScore,
  );
  return {
    ranked,
    legs: [semantic.leg, keyword.leg],
    words: [...words.values()]
      .flat()
      .flatMap(({ word, dropped }) => (dropped === null ? [word] : [])),
    fused,
    limited: [semantic, keyword].some(({ scores }) => scores.size === depthFor(weight)),
  };
}

/** Ids of the documents that the filter leaves in each collection; null without a filter. */
async function filtered(
  database: Database,
  { query, collections }: RankContext,
): Promise<Map<string, string[]> | null> {
  if (!query.filter) return null;
  const left = new Map<string, string[]>();
  for (const collection of collections)
    left.set(collection.id, await filterDocuments(database, collection, query.filter));
  return left;
}

async function semanticLeg(
  { embeddings, vectors }: RankDependencies,
  context: RankContext,
  weight: number,
  documents: Map<string, string[]> | null,
): Promise<LegResult> {
  if (weight === 0) return skipped("semantic", context.query.mode);
  try {
    const embedding = await embedQuery(embeddings, context);
    const found: { id: string; row: number; score: number; collection: CollectionRow }[] = [];
    for (const collection of context.collections) {
      const matches = await vectors.scan(collection, context.space, embedding, {
        limit: depthFor(weight),
        documents: documents?.get(collection.id) ?? null,
      });
      for (const match of matches) found.push({ ...match, collection });
    }
    return toLegResult("semantic", found, depthFor(weight));
  } catch (thrown) {
    if (context.signal.aborted) throw thrown;
    return failed("semantic", thrown);
  }
}

async function embedQuery(embeddings: Embeddings, context: RankContext): Promise<Embedding> {
  const { query, space, signal, notice } = context;
  const text = query.context === undefined ? query.query : `${query.query}\n${query.context}`;
  const [item] = await embeddings.embed(space, [text], { kind: "query", signal });
  if (!item || "error" in item) throw item?.error ?? new TypeError("no vector came back");
  if (item.truncated)
    notice({
      code: "input_truncated",
      message: `The query has ${item.truncated.tokens} tokens; the model reads the first ${item.truncated.limit}.`,
      details: item.truncated,
    });
  return item.embedding;
}

async function keywordLeg(
  { database }: RankDependencies,
  context: RankContext,
  weight: number,
  words: Map<string, QueryWord[]>,
  documents: Map<string, string[]> | null,
): Promise<LegResult> {
  if (weight === 1) return skipped("keyword", context.query.mode);
  try {
    const found: { id: string; row: number; score: number; collection: CollectionRow }[] = [];
    for (const collection of context.collections) {
      const matches = await matchKeywords(
        database,
        collection.id,
        words.get(collection.id) ?? [],
        depthFor(weight),
        documents?.get(collection.id) ?? null,
      );
      const ids = await chunkIds(
        database,
        matches.map(({ row }) => row),
      );
      for (const { row, score } of matches) {
        const id = ids.get(row);
        if (id !== undefined) found.push({ id, row, score, collection });
      }
    }
    return toLegResult("keyword", found, depthFor(weight));
  } catch (thrown) {
    if (context.signal.aborted) throw thrown;
    return failed("keyword", thrown);
  }
}

async function chunkIds(database: Database, rows: readonly number[]): Promise<Map<number, string>> {
  const found = await database.unscoped
    .selectFrom("chunks")
    .select(["row", "id"])
    .where(database.words.idsIn("row", rows.map(String)))
    .execute();
  return new Map(found.map(({ row, id }) => [row, id]));
}

function toLegResult(
  name: Leg["name"],
  found: { id: string; row: number; score: number; collection: CollectionRow }[],
  depth: number,
): LegResult {
  const best = found
    .toSorted((a, b) => b.score - a.score || compareIds(a.id, b.id))
    .slice(0, depth);
  return {
    leg: { name, state: "run", candidates: best.length, approximate: false },
    scores: new Map(best.map(({ id, score, row, collection }) => [id, { score, row, collection }])),
  };
}

function skipped(name: Leg["name"], mode: SearchMode): LegResult {
  const reason = mode === "hybrid" ? `the weight gives it nothing` : `the mode is ${mode}`;
  return {
    leg: { name, state: "skipped", candidates: 0, approximate: false, reason },
    scores: new Map(),
  };
}

function failed(name: Leg["name"], thrown: unknown): LegResult {
  const error = toCandorError(thrown);
  const reason = `${error.code}: ${error.message}`;
  return {
    leg: { name, state: "failed", candidates: 0, approximate: false, reason },
    scores: new Map(),
    error,
  };
}

/** One failed leg of a hybrid search is said in a notice and kept in the ledger; without any other leg it is the error. */
async function settleFailures(
  ledger: Ledger,
  { query, notice }: RankContext,
  semantic: LegResult,
  keyword: LegResult,
): Promise<void> {
  const broken = [semantic, keyword].filter((result) => result.error !== undefined);
  if (broken.length === 0) return;
  const other = [semantic, keyword].find((result) => result.leg.state === "run");
  const [first] = broken;
  if (!other || query.mode !== "hybrid") {
    if (broken.length === 1 && first?.error) throw first.error;
    throw new SearchFailedError("Neither leg of the search could run.", {
      details: { legs: broken.map(({ leg }) => ({ name: leg.name, reason: leg.reason })) },
      cause: first?.error,
    });
  }
  const ledgerId = await ledger.record(first?.error, { operation: "search.query" });
  notice({
    code: other.leg.name === "keyword" ? "keyword_only" : "semantic_only",
    message: `The ${first?.leg.name} leg could not run (${first?.leg.reason}); the answer rests on the ${other.leg.name} leg alone.`,
    details: { ledgerId },
  });
}

/** The candidates of both legs; a leg that did not rank one says nothing of it. */
function join(semantic: LegResult, keyword: LegResult): Candidate[] {
  const ids = new Set([...semantic.scores.keys(), ...keyword.scores.keys()]);
  return [...ids].map((id) => {
    const word = keyword.scores.get(id);
    const meaning = semantic.scores.get(id);
    return {
      id,
      ...(meaning === undefined ? {} : { semantic: meaning.score }),
      ...(word === undefined ? {} : { keyword: word.score }),
    };
  });
}

function order(
  candidates: readonly Fused[],
  semantic: LegResult,
  keyword: LegResult,
  mode: SearchMode,
): RankedHit[] {
  const semanticRanks = ranks(candidates, "semantic");
  const keywordRanks = ranks(candidates, "keyword");
  return candidates.flatMap((fused) => {
    const place = semantic.scores.get(fused.id) ?? keyword.scores.get(fused.id);
    if (!place) return [];
    const semanticRank = semanticRanks.get(fused.id);
    const keywordRank = keywordRanks.get(fused.id);
    return [
      {
        id: fused.id,
        row: place.row,
        collection: place.collection,
        scores: {
          ...(mode === "hybrid" ? { fused: fused.fused } : {}),
          ...(fused.semantic === undefined ? {} : { semantic: fused.semantic }),
          ...(fused.keyword === undefined ? {} : { keyword: fused.keyword }),
        },
        ranks: {
          ...(semanticRank === undefined ? {} : { semantic: semanticRank }),
          ...(keywordRank === undefined ? {} : { keyword: keywordRank }),
        },
      },
    ];
  });
}

/** Rank of each candidate by one leg's score, from 1, ties by id. */
function ranks(candidates: readonly Candidate[], leg: "semantic" | "keyword"): Map<string, number> {
  const scored = candidates
    .flatMap((candidate) =>
      candidate[leg] === undefined ? [] : [{ id: candidate.id, score: candidate[leg] }],
    )
    .toSorted((a, b) => b.score - a.score || compareIds(a.id, b.id));
  return new Map(scored.map(({ id }, index) => [id, index + 1]));
}
