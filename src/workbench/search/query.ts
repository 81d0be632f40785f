import { createHash } from "node:crypto";
import type { CollectionRow, Database, Scope } from "#base/database/index.ts";
import {
  type CandorError,
  CursorStaleError,
  InputInvalidError,
  type Notice,
  SearchFailedError,
  SpaceMismatchError,
  toCandorError,
} from "#base/errors/index.ts";
import type { Jobs } from "#base/jobs/index.ts";
import type { Ledger } from "#base/ledger/index.ts";
import type { Embedding, Embeddings, Space } from "#engine/embeddings/index.ts";
import type { Freshness } from "./freshness.ts";
import type { Location } from "./documents.ts";
import { checkFilter, type Filter, filterDocuments } from "./filter.ts";
import { type Candidate, compareIds, fuse } from "./fuse.ts";
import { loadHits } from "./hits.ts";
import { chooseWords, matchKeywords, type QueryWord } from "./keyword-index.ts";
import type { VectorIndex } from "./vector-index.ts";

export const searchModes = ["hybrid", "semantic", "keyword"] as const;
export type SearchMode = (typeof searchModes)[number];

/** Weight of the semantic leg while the space has none that was measured. */
const unmeasuredWeight = 0.5;

/** Best candidates of each leg that are fused and paged through. */
const candidatesPerLeg = 1000;

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

export type RankedHit = {
  readonly id: string;
  readonly row: number;
  readonly collection: CollectionRow;
  readonly scores: Hit["scores"];
  readonly ranks: Hit["ranks"];
};

export type QueryDependencies = {
  database: Database;
  embeddings: Embeddings;
  vectors: VectorIndex;
  jobs: Jobs;
  ledger: Ledger;
};

type Context = {
  query: SearchQuery;
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
  scoreOf?: (collection: string, row: number) => number | undefined;
  error?: CandorError;
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
  const { collections, space } = await chooseCollections(
    dependencies,
    scope,
    query,
    options.notice,
  );
  const state = stateOf(collections);
  if (position && position.state !== state)
    throw new CursorStaleError(
      "A searched collection changed since the page before. Start again without a cursor.",
    );
  const weight = query.weight ?? space.fusionWeight ?? unmeasuredWeight;
  const context: Context = { query, space, weight, collections, ...options };
  const { ranked, legs, words } = await rank(dependencies, context);
  const offset = position?.offset ?? 0;
  const page = ranked.slice(offset, offset + query.limit);
  const end = offset + page.length;
  if (ranked.length >= candidatesPerLeg && end === ranked.length)
    options.notice({
      code: "hits_limited",
      message: `Only the best ${ranked.length} candidates are ranked; narrow the query or filter.`,
    });
  await tellIndexing(dependencies.jobs, collections, options.notice);
  const answer: SearchAnswer = {
    items: await loadHits(dependencies.database, page, words),
    legs,
    weight,
    space: { id: space.id, name: space.name },
    searched: await countSearched(dependencies.database, collections),
  };
  return { answer, next: end < ranked.length ? { offset: end, state } : null };
}

/** Both legs and their fusion, without loading any text. */
export async function rank(
  dependencies: QueryDependencies,
  context: Context,
): Promise<{ ranked: RankedHit[]; legs: Leg[]; words: string[]; candidates: Candidate[] }> {
  const { mode } = context.query;
  const weight = mode === "hybrid" ? context.weight : mode === "semantic" ? 1 : 0;
  const words = new Map<string, QueryWord[]>();
  for (const collection of context.collections)
    words.set(
      collection.id,
      await chooseWords(dependencies.database, collection, context.query.query),
    );
  const documents = await filtered(dependencies.database, context);
  const semantic = await semanticLeg(dependencies, context, weight, documents);
  const keyword = await keywordLeg(dependencies, context, weight, words, documents);
  await settleFailures(dependencies.ledger, context, semantic, keyword);
  const effective = semantic.error ? 0 : keyword.error ? 1 : weight;
  const candidates = join(semantic, keyword);
  const ranked = order(candidates, semantic, keyword, mode, effective).filter(
    (hit) =>
      context.query.minScore === undefined ||
      (hit.scores[mode === "hybrid" ? "fused" : mode] ?? -Infinity) >= context.query.minScore,
  );
  return {
    ranked,
    legs: [semantic.leg, keyword.leg],
    words: [...words.values()].flat().map(({ word }) => word),
    candidates,
  };
}

async function chooseCollections(
  { database, embeddings }: QueryDependencies,
  scope: Scope,
  query: SearchQuery,
  notice: (notice: Notice) => void,
): Promise<{ collections: CollectionRow[]; space: Space }> {
  const readable = await database
    .as(scope)
    .select("collections")
    .selectAll()
    .orderBy("id")
    .execute();
  const byDefault = await embeddings.space();
  if (query.collections === undefined) {
    const chosen = readable.filter(
      (row) => query.mode === "keyword" || row.space_id === byDefault.id,
    );
    const left = readable.filter((row) => !chosen.includes(row));
    if (left.length > 0)
      notice({
        code: "collections_left_out",
        message: `${left.length} collections in other spaces were not searched; name them to search them.`,
        details: { collections: left.map(({ name }) => name) },
      });
    return { collections: chosen, space: byDefault };
  }
  const chosen = [...new Set(query.collections)].map((named, index) => {
    const row = readable.find(({ id, name }) => id === named || name === named);
    if (row) return row;
    throw new InputInvalidError(`There is no collection "${named}".`, {
      errors: [{ pointer: `/collections/${index}`, message: "is not a collection you may read" }],
    });
  });
  const spaces = [...new Set(chosen.map(({ space_id: space }) => space))];
  if (spaces.length > 1 && query.mode !== "keyword")
    throw new SpaceMismatchError(
      `The collections are of ${spaces.length} spaces; search them one space at a time or with mode keyword.`,
      { details: { collections: chosen.map(({ name, space_id: space }) => ({ name, space })) } },
    );
  return { collections: chosen, space: spaces[0] ? await embeddings.space(spaces[0]) : byDefault };
}

/** Ids of the documents that the filter leaves in each collection; null without a filter. */
async function filtered(
  database: Database,
  { query, collections }: Context,
): Promise<Map<string, string[]> | null> {
  if (!query.filter) return null;
  const left = new Map<string, string[]>();
  for (const collection of collections)
    left.set(collection.id, await filterDocuments(database, collection, query.filter));
  return left;
}

async function semanticLeg(
  { embeddings, vectors }: QueryDependencies,
  context: Context,
  weight: number,
  documents: Map<string, string[]> | null,
): Promise<LegResult> {
  if (weight === 0) return skipped("semantic", context.query.mode);
  try {
    const embedding = await embedQuery(embeddings, context);
    const scans = new Map<string, (row: number) => number | undefined>();
    const found: { id: string; row: number; score: number; collection: CollectionRow }[] = [];
    for (const collection of context.collections) {
      const { matches, scoreOf } = await vectors.scan(collection, context.space, embedding, {
        limit: candidatesPerLeg,
        documents: documents?.get(collection.id) ?? null,
      });
      scans.set(collection.id, scoreOf);
      for (const match of matches) found.push({ ...match, collection });
    }
    return {
      ...toLegResult("semantic", found),
      scoreOf: (collection, row) => scans.get(collection)?.(row),
    };
  } catch (thrown) {
    return failed("semantic", thrown);
  }
}

async function embedQuery(embeddings: Embeddings, context: Context): Promise<Embedding> {
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
  { database }: QueryDependencies,
  context: Context,
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
        candidatesPerLeg,
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
    return toLegResult("keyword", found);
  } catch (thrown) {
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
): LegResult {
  const best = found
    .toSorted((a, b) => b.score - a.score || compareIds(a.id, b.id))
    .slice(0, candidatesPerLeg);
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
  { query, notice }: Context,
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

/** The candidates of both legs; the cosine is known for every one of them, whichever leg found it. */
function join(semantic: LegResult, keyword: LegResult): Candidate[] {
  const ids = new Set([...semantic.scores.keys(), ...keyword.scores.keys()]);
  return [...ids].map((id) => {
    const word = keyword.scores.get(id);
    const meaning =
      semantic.scores.get(id)?.score ??
      (word ? semantic.scoreOf?.(word.collection.id, word.row) : undefined);
    return {
      id,
      ...(meaning === undefined ? {} : { semantic: meaning }),
      ...(word === undefined ? {} : { keyword: word.score }),
    };
  });
}

function order(
  candidates: readonly Candidate[],
  semantic: LegResult,
  keyword: LegResult,
  mode: SearchMode,
  weight: number,
): RankedHit[] {
  const semanticRanks = ranks(candidates, "semantic");
  const keywordRanks = ranks(candidates, "keyword");
  return fuse(candidates, weight).flatMap((fused) => {
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

function stateOf(collections: readonly CollectionRow[]): string {
  const state = collections.map(({ id, generation }) => `${id}@${generation}`).join(",");
  return createHash("sha256").update(state).digest("base64url").slice(0, 22);
}

async function tellIndexing(
  jobs: Jobs,
  collections: readonly CollectionRow[],
  notice: (notice: Notice) => void,
): Promise<void> {
  for (const collection of collections)
    for (const job of await jobs.activeOn(collection.id))
      notice({
        code: "still_indexing",
        message: `A job is still adding to ${collection.name}: ${job.done} of ${job.total ?? "an unknown number of"} ${job.unit} done.`,
        details: { collection: collection.name, job: job.id, done: job.done, total: job.total },
      });
}

async function countSearched(
  database: Database,
  collections: readonly CollectionRow[],
): Promise<SearchAnswer["searched"]> {
  const ids = collections.map(({ id }) => id);
  const counted = await database.unscoped
    .selectFrom("documents")
    .select(({ fn }) => [
      fn.countAll<number>().as("documents"),
      fn.sum<number>("chunk_count").as("chunks"),
    ])
    .where(database.words.idsIn("collection_id", ids))
    .executeTakeFirstOrThrow();
  return {
    collections: ids.length,
    documents: Number(counted.documents),
    chunks: Number(counted.chunks ?? 0),
  };
}
