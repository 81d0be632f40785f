import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { CollectionRow } from "#base/database/index.ts";
import { type Embedding, readEmbedding, type Space } from "#engine/embeddings/index.ts";
// The parts of a query by themselves, so that constants can be tried that no door offers.
import { type Candidate, fuse } from "#workbench/search/fuse.ts";
import { chooseWords, keywordColumns } from "#workbench/search/keyword-index.ts";
import type { OpenApp } from "#app";
import { type LabelledQuery, type LabelledSet, readLabelledSet } from "./labelled-sets.ts";
import type { Measured } from "./measurement.ts";
import type { Bench, Indexed } from "./open-bench.ts";
import { mean, scoreRanking } from "./score-ranking.ts";
import { toTable } from "./to-table.ts";

const chunkings = [384, 256, 128].flatMap((maxTokens) =>
  [48, 0].map((overlapTokens) => ({ maxTokens, overlapTokens })),
);

/** Weights of the columns body, identifiers, heading and path in bm25. */
const columnWeights: readonly (readonly number[])[] = [
  keywordColumns.map(({ weight }) => weight),
  [1, 1, 1, 1],
  [1, 0, 0, 0],
  [1, 0.5, 0, 0],
  ...[0.25, 1].map((identifiers) => [1, identifiers, 1.5, 1]),
  ...[0.5, 1, 2, 3].map((heading) => [1, 0.5, heading, 1]),
  ...[0, 0.5, 2].map((path) => [1, 0.5, 1.5, path]),
  [1, 0.5, 2, 2],
  [1, 0.5, 0.5, 0.5],
  [1, 0.5, 1, 0.5],
];

const legWeights = [0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1] as const;

const method =
  "Development half of both labelled sets only. The parts of a query (words, bm25, cosine, fusion) are put together here with " +
  "other constants; the first line of each table has those of the product. nDCG@10, files rank by their best chunk.";

/** Tries chunk sizes and the weights of the keyword columns; its tables are for choosing constants, not for the results. */
export async function tuneRetrieval(bench: Bench): Promise<Measured> {
  const details: string[] = [];
  for (const name of ["documents", "code"] as const) {
    const set = readLabelledSet(name);
    const header = ["", ...legWeights.map((weight) => `weight ${weight}`)];
    const cut: string[][] = [];
    for (const chunking of chunkings) {
      const { maxTokens, overlapTokens } = chunking;
      const indexed = await bench.index(
        `${name}-${maxTokens}-${overlapTokens}`,
        set.folder,
        chunking,
      );
      const scores = await scoreColumns(bench, set, indexed, columnWeights.slice(0, 1));
      cut.push(
        ...scores.map((line) => [
          `${maxTokens} tokens, overlap ${overlapTokens}: ${indexed.chunks} chunks`,
          ...line.map((score) => score.toFixed(4)),
        ]),
      );
    }
    const indexed = await bench.index(`${name}-columns`, set.folder);
    const scores = await scoreColumns(bench, set, indexed, columnWeights);
    const columns = scores.map((line, index) => [
      (columnWeights[index] ?? []).join(" / "),
      ...line.map((score) => score.toFixed(4)),
    ]);
    details.push(
      `### ${name}, chunking`,
      toTable(header, cut),
      `### ${name}, weights of ${keywordColumns.map((column) => column.name).join(" / ")}`,
      toTable(header, columns),
    );
  }
  return { rows: [], method, details: details.join("\n\n") };
}

type Chunk = {
  readonly row: number;
  readonly id: string;
  readonly file: string;
  readonly embedding: Embedding;
};

/** nDCG@10 of the development half for each choice of column weights (outer) and leg weights (inner). */
async function scoreColumns(
  bench: Bench,
  set: LabelledSet,
  { collection }: Indexed,
  choices: readonly (readonly number[])[],
): Promise<number[][]> {
  const { app } = await bench.served();
  const space = await app.embeddings.space();
  const queries = set.queries
    .filter(({ split }) => split === "development")
    .slice(0, bench.size(Infinity, 30));
  const chunks = await readChunks(app, collection.id, space);
  const expressions = await expressionsOf(app, collection, queries);
  const cosines = await cosinesOf(app, space, queries, chunks);
  const store = new DatabaseSync(join(app.home.home, "candor.sqlite"), { readOnly: true });
  try {
    const table = `words_${collection.id.toLowerCase()}`;
    return choices.map((choice) => {
      const match = store.prepare(
        `select rowid as row, -bm25(${table}, ${choice.join(", ")}) as score from ${table} where ${table} match ?`,
      );
      const totals = legWeights.map((): number[] => []);
      for (const [index, { grades }] of queries.entries()) {
        const candidates = candidatesOf(
          chunks,
          cosines[index] ?? [],
          matchWords(match, expressions[index] ?? ""),
        );
        for (const [place, weight] of legWeights.entries())
          totals[place]?.push(scoreRanking(rankFiles(chunks, candidates, weight), grades).ndcg);
      }
      return totals.map(mean);
    });
  } finally {
    store.close();
  }
}

async function readChunks(app: OpenApp, collection: string, space: Space): Promise<Chunk[]> {
  const rows = await app.database.unscoped
    .selectFrom("chunks")
    .innerJoin("documents", "documents.id", "chunks.document_id")
    .innerJoin("vectors", "vectors.chunk_key", "chunks.key")
    .select(["chunks.row", "chunks.id", "documents.key", "vectors.vector"])
    .where("chunks.collection_id", "=", collection)
    .where("vectors.space_id", "=", space.id)
    .execute();
  return rows.map(({ row, id, key, vector }) => ({
    row,
    id,
    file: key,
    embedding: readEmbedding(space, vector),
  }));
}

/** The cosine of every query with every chunk. */
async function cosinesOf(
  app: OpenApp,
  space: Space,
  queries: readonly LabelledQuery[],
  chunks: readonly Chunk[],
): Promise<number[][]> {
  const texts = queries.map(({ query }) => query);
  const items = await app.embeddings.embed(space, texts, { kind: "query" });
  return items.map((item) => {
    if ("error" in item) throw item.error;
    return chunks.map(({ embedding }) =>
      embedding.reduce((sum, value, j) => sum + value * (item.embedding[j] ?? 0), 0),
    );
  });
}

/** What the product looks up for each query, as one FTS5 expression; empty without any word. */
async function expressionsOf(
  app: OpenApp,
  collection: CollectionRow,
  queries: readonly LabelledQuery[],
): Promise<string[]> {
  const expressions: string[] = [];
  for (const { query } of queries) {
    const words = await chooseWords(app.database, collection, query);
    const looked = words.filter(({ dropped }) => dropped === null);
    expressions.push(looked.map(({ word }) => `"${word}"`).join(" OR "));
  }
  return expressions;
}

function matchWords(match: StatementSync, expression: string): Map<number, number> {
  const found = expression === "" ? [] : match.all(expression);
  return new Map(found.map(({ row, score }) => [Number(row), Number(score)]));
}

function candidatesOf(
  chunks: readonly Chunk[],
  cosines: readonly number[],
  keywords: ReadonlyMap<number, number>,
): Candidate[] {
  return chunks.map(({ row, id }, index) => {
    const keyword = keywords.get(row);
    return {
      id,
      semantic: cosines[index] ?? Number.NaN,
      ...(keyword === undefined ? {} : { keyword }),
    };
  });
}

/** Files by their best chunk; with weight 0 only chunks that hold a word are candidates. */
function rankFiles(
  chunks: readonly Chunk[],
  candidates: readonly Candidate[],
  weight: number,
): string[] {
  const fileOf = new Map(chunks.map(({ id, file }) => [id, file]));
  const ranked = fuse(
    weight === 0 ? candidates.filter(({ keyword }) => keyword !== undefined) : candidates,
    weight,
  );
  return [...new Set(ranked.map(({ id }) => fileOf.get(id) ?? ""))];
}
