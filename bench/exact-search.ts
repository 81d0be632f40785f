import type { CollectionRow } from "#base/database/index.ts";
import { type Embedding, readEmbedding, type Space } from "#engine/embeddings/index.ts";
// The leg by itself, as no door offers it.
import { createVectorIndex } from "#workbench/search/vector-index.ts";
import type { OpenApp } from "#app";
import { readLabelledSet } from "./labelled-sets.ts";
import { alternateLatencies, type Measured, type Row, timeEach, toRow } from "./measurement.ts";
import type { Bench } from "./open-bench.ts";

/** Candidates that hybrid search takes from the leg. */
const candidates = 1000;

const method =
  "Queries of the labelled documents, embedded beforehand, against all vectors of a collection of generated files: the 1,000 best with their " +
  "cosines, as hybrid search takes them, and beside it a bare loop that computes the same dot products and keeps nothing. " +
  "Lowest p50 and p95 of five rounds, alternating, after one warm round.";

/** Latency of the exact semantic leg at two sizes. */
export async function exactSearch(bench: Bench): Promise<Measured> {
  const { app } = await bench.served();
  const space = await app.embeddings.space();
  const queries = await embedQueries(app, space, bench.size(200, 30));
  const rows: Row[] = [];
  for (const wanted of [bench.size(10_000, 500), bench.size(20_000, 1000)]) {
    const { collection, chunks } = await bench.generated(wanted);
    const vectors = createVectorIndex(app.database);
    const matrix = await readMatrix(app, collection, space);
    const scan = () =>
      timeEach(queries, (query) =>
        vectors.scan(collection, space, query, { limit: candidates, documents: null }),
      );
    await scan();
    const best = await alternateLatencies(bench.size(5, 2), {
      scan,
      bare: () => timeEach(queries, (query) => dotAll(matrix, query)),
    });
    for (const share of ["p50", "p95"] as const)
      rows.push(
        toRow(
          {
            name: `Exact search, semantic leg, ${chunks.toLocaleString("en")} chunks, ${share}`,
            figure: best.scan[share],
            unit: "ms",
          },
          { name: `bare dot products, ${share}`, figure: best.bare[share] },
        ),
      );
  }
  return { rows, method };
}

async function embedQueries(app: OpenApp, space: Space, count: number): Promise<Embedding[]> {
  const texts = readLabelledSet("documents").queries.map(({ query }) => query);
  const items = await app.embeddings.embed(space, texts.slice(0, count), { kind: "query" });
  return items.map((item) => {
    if ("error" in item) throw item.error;
    return item.embedding;
  });
}

/** All vectors of a collection, row after row. */
async function readMatrix(
  app: OpenApp,
  collection: CollectionRow,
  space: Space,
): Promise<Float32Array> {
  const rows = await app.database.unscoped
    .selectFrom("chunks")
    .innerJoin("vectors", "vectors.chunk_key", "chunks.key")
    .select("vectors.vector")
    .where("chunks.collection_id", "=", collection.id)
    .where("vectors.space_id", "=", space.id)
    .orderBy("chunks.row")
    .execute();
  const matrix = new Float32Array(rows.length * space.dims);
  for (const [index, { vector }] of rows.entries())
    matrix.set(readEmbedding(space, vector), index * space.dims);
  return matrix;
}

/** The dot product of every row with `query`, four sums at a time. */
function dotAll(matrix: Float32Array, query: Float32Array): Float32Array {
  const dims = query.length;
  const scores = new Float32Array(matrix.length / dims);
  for (let row = 0; row < scores.length; row += 1) {
    const offset = row * dims;
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let j = 0; j < dims; j += 4) {
      a += (matrix[offset + j] as number) * (query[j] as number);
      b += (matrix[offset + j + 1] as number) * (query[j + 1] as number);
      c += (matrix[offset + j + 2] as number) * (query[j + 2] as number);
      d += (matrix[offset + j + 3] as number) * (query[j + 3] as number);
    }
    scores[row] = a + b + c + d;
  }
  return scores;
}
