import { readLabelledSet } from "./labelled-sets.ts";
import { writeCorpus } from "./corpus.ts";
import { alternateLatencies, type Measured, timeEach, toRow } from "./measurement.ts";
import type { Bench } from "./open-bench.ts";

const method =
  "Collections of generated files, one ten times the other. Index time: the sync of the folder, best of two for the small one, once " +
  "for the large one. Query: hybrid search in process with queries of the labelled documents, lowest p50 of five rounds, alternating.";

/** What ten times the data costs, in indexing and in a query. */
export async function growth(bench: Bench): Promise<Measured> {
  const wanted = bench.size(10_000, 500);
  const small = await bench.generated(wanted / 10);
  const large = await bench.generated(wanted);
  const again = bench.temporaryFolder("growth");
  writeCorpus(again, small.files, 77);
  const secondsSmall = Math.min(small.seconds, (await bench.index("growth", again)).seconds);
  const queries = readLabelledSet("documents")
    .queries.slice(0, bench.size(100, 30))
    .map(({ query }) => query);
  const ask = (collection: string) => () =>
    timeEach(queries, (query) => bench.run("search.query", { query, collections: [collection] }));
  const askSmall = ask(small.collection.id);
  const askLarge = ask(large.collection.id);
  await askSmall();
  await askLarge();
  const best = await alternateLatencies(bench.size(5, 2), { small: askSmall, large: askLarge });
  const [before, after] = [small, large].map(
    ({ chunks }) => `${chunks.toLocaleString("en")} chunks`,
  );
  return {
    method,
    rows: [
      toRow(
        { name: `Growth: index time, ${after}`, figure: large.seconds, unit: "s" },
        { name: `${before}`, figure: secondsSmall },
        { words: "≤ 12×", met: large.seconds <= 12 * secondsSmall },
      ),
      toRow(
        { name: `Growth: hybrid query p50, ${after}`, figure: best.large.p50, unit: "ms" },
        { name: `${before}`, figure: best.small.p50 },
        { words: "≤ 2×", met: best.large.p50 <= 2 * best.small.p50 },
      ),
    ],
  };
}
