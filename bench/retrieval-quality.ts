import { type LabelledQuery, type LabelledSet, readLabelledSet } from "./labelled-sets.ts";
import { type Measured, type Row, toRow } from "./measurement.ts";
import type { Bench, Indexed } from "./open-bench.ts";
import {
  bootstrapInterval,
  mean,
  type Measure,
  measures,
  type Scores,
  scoredPlaces,
  scoreRanking,
} from "./score-ranking.ts";
import { toTable } from "./to-table.ts";

/** Weights of the semantic leg that are tried on the development half. */
const triedWeights = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8] as const;

/** Chunks of one page of hits; pages are read until ten files are there. */
const chunksPerPage = 25;

const method =
  "Both labelled sets of bench/quality, each indexed in a collection with the standard chunking and searched through `search.query`; " +
  "a file ranks where its best chunk does. The weight is chosen by nDCG@10 on the development half alone; the test half " +
  "was searched with the two legs, the chosen and the standard weight. Recall@10 and MRR@10 count the file that answers (grade 2), " +
  "nDCG@10 takes both grades. Intervals: 95 %, bootstrap over queries.";

/** Scores of each query in the order of the queries. */
type Run = readonly Scores[];

/** How well keyword, semantic and hybrid search find what the labelled sets say. */
export async function retrievalQuality(bench: Bench): Promise<Measured> {
  const rows: Row[] = [];
  const details: string[] = [];
  for (const name of ["documents", "code"] as const) {
    const measured = await measureSet(bench, readLabelledSet(name));
    rows.push(...measured.rows);
    details.push(measured.details);
  }
  return { rows, method, details: details.join("\n\n") };
}

async function measureSet(
  bench: Bench,
  set: LabelledSet,
): Promise<{ rows: Row[]; details: string }> {
  const indexed = await bench.index(`quality-${set.name}`, set.folder);
  const standard = await standardWeight(bench, indexed);
  const half = (split: LabelledQuery["split"]) =>
    set.queries.filter((query) => query.split === split).slice(0, bench.size(Infinity, 30));
  const search = (queries: readonly LabelledQuery[], weight: number) =>
    runQueries(bench, indexed, queries, weight);
  const development = half("development");
  const tuned = new Map<number, Run>();
  for (const weight of [0, ...triedWeights, 1])
    tuned.set(weight, await search(development, weight));
  const chosen = triedWeights.reduce((best, weight) =>
    ndcgOf(tuned.get(weight)) > ndcgOf(tuned.get(best)) ? weight : best,
  );
  const test = half("test");
  const tested = new Map<number, Run>();
  for (const weight of new Set([0, standard, chosen, 1]))
    tested.set(weight, await search(test, weight));
  return {
    rows: compareWithLegs(set, tested, standard),
    details: [
      `### Retrieval quality: ${set.name} (${indexed.files} files, ${indexed.chunks} chunks)`,
      `Test half, ${test.length} queries:`,
      qualityTable(tested, test),
      `Development half, ${development.length} queries; chosen weight ${chosen}:`,
      qualityTable(tuned, development),
      differences(tested, standard),
    ].join("\n\n"),
  };
}

/** The weight that a search has when nobody asks for one. */
async function standardWeight(bench: Bench, { collection }: Indexed): Promise<number> {
  const body = { query: "weight", collections: [collection.id], limit: 1 };
  return ((await bench.run("search.query", body)) as { weight: number }).weight;
}

/** Weight 0 is the keyword leg alone and 1 the semantic one, as `search.query` says. */
async function runQueries(
  bench: Bench,
  { collection }: Indexed,
  queries: readonly LabelledQuery[],
  weight: number,
): Promise<Run> {
  const run: Scores[] = [];
  for (const { query, grades } of queries) {
    const ranking = await rankFiles(bench, { query, collections: [collection.id], weight });
    run.push(scoreRanking(ranking, grades));
  }
  return run;
}

/** The first ten files in the order of their best chunks, or all that were found. */
async function rankFiles(bench: Bench, body: Record<string, unknown>): Promise<string[]> {
  const files = new Set<string>();
  let cursor: string | null = null;
  do {
    const { items, nextCursor } = (await bench.run("search.query", {
      ...body,
      limit: chunksPerPage,
      ...(cursor === null ? {} : { cursor }),
    })) as { items: { key: string }[]; nextCursor: string | null };
    for (const { key } of items) files.add(key);
    cursor = nextCursor;
  } while (files.size < scoredPlaces && cursor !== null);
  return [...files];
}

/** Hybrid at the standard weight beside each leg, on the test half. */
function compareWithLegs(
  { name }: LabelledSet,
  tested: ReadonlyMap<number, Run>,
  standard: number,
): Row[] {
  const hybrid = ndcgOf(tested.get(standard));
  return [0, 1].map((leg) => {
    const alone = ndcgOf(tested.get(leg));
    return toRow(
      { name: `Retrieval, ${name}, hybrid ${standard}`, figure: hybrid, unit: "nDCG@10" },
      { name: legName(leg), figure: alone },
      { words: "≥ 1×", met: hybrid >= alone },
    );
  });
}

function ndcgOf(run: Run | undefined): number {
  if (!run) throw new TypeError("these queries were not run");
  return mean(run.map(({ ndcg }) => ndcg));
}

function legName(weight: number): string {
  if (weight === 0) return "keyword alone";
  return weight === 1 ? "semantic alone" : `hybrid ${weight}`;
}

/** One line per way of searching: the three measures with intervals, then nDCG@10 per kind of query. */
function qualityTable(runs: ReadonlyMap<number, Run>, queries: readonly LabelledQuery[]): string {
  const kinds = [...new Set(queries.map(({ kind }) => kind))].toSorted();
  const counts = kinds.map((kind) => queries.filter((query) => query.kind === kind).length);
  const header = [
    "Search",
    "Recall@10",
    "MRR@10",
    "nDCG@10",
    ...kinds.map((kind, index) => `${kind} (${counts[index]})`),
  ];
  const lines = [...runs].map(([weight, run]) => [
    legName(weight),
    ...measures.map((measure) => withInterval(run, measure)),
    ...kinds.map((kind) =>
      ndcgOf(run.filter((_, index) => queries[index]?.kind === kind)).toFixed(3),
    ),
  ]);
  return toTable(header, lines);
}

function withInterval(run: Run, measure: Measure): string {
  const values = run.map((scores) => scores[measure]);
  const { low, high } = bootstrapInterval(values);
  return `${mean(values).toFixed(3)} (${low.toFixed(3)}–${high.toFixed(3)})`;
}

/** How much hybrid search gains over each leg, query by query. */
function differences(tested: ReadonlyMap<number, Run>, standard: number): string {
  const hybrid = tested.get(standard) ?? [];
  const said = [0, 1].map((leg) => {
    const gains = hybrid.map(({ ndcg }, index) => ndcg - (tested.get(leg)?.[index]?.ndcg ?? 0));
    const { low, high } = bootstrapInterval(gains);
    return `${signed(mean(gains))} over ${legName(leg)} (${signed(low)} to ${signed(high)})`;
  });
  return `nDCG@10 that hybrid ${standard} gains on the test half: ${said.join("; ")}.`;
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
}
