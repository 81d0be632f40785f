// Measures Candor: `node bench/run.ts` measures everything and writes RESULTS.md; with names it measures those and prints,
// `--small` tries the measurements out with sizes that say nothing.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { durableWrites } from "./durable-writes.ts";
import { exactSearch } from "./exact-search.ts";
import { growth } from "./growth.ts";
import { hybridHttp } from "./hybrid-http.ts";
import { indexRate } from "./index-rate.ts";
import { keyTiming } from "./key-timing.ts";
import { loads } from "./load.ts";
import type { Measured } from "./measurement.ts";
import { type Bench, openBench } from "./open-bench.ts";
import { retrievalQuality } from "./retrieval-quality.ts";
import { start } from "./start.ts";
import { staticEmbedding } from "./static-embedding.ts";
import { tuneRetrieval } from "./tune-retrieval.ts";
import { renderResults } from "./write-results.ts";

/** Every measurement, in the order of the results: what wants a quiet machine comes first. */
const measurements: Readonly<Record<string, (bench: Bench) => Promise<Measured>>> = {
  start,
  "durable-writes": durableWrites,
  load: loads,
  "static-embedding": staticEmbedding,
  "index-rate": indexRate,
  "exact-search": exactSearch,
  "hybrid-http": hybridHttp,
  growth,
  "retrieval-quality": retrievalQuality,
};

/** Run by name only: what looks for better constants, and what says nothing about speed. */
const experiments: typeof measurements = {
  "tune-retrieval": tuneRetrieval,
  "key-timing": keyTiming,
};

const { values, positionals } = parseArgs({
  options: { small: { type: "boolean", default: false } },
  allowPositionals: true,
});
const known = { ...measurements, ...experiments };
const unknown = positionals.filter((name) => !(name in known));
if (unknown.length > 0) {
  const all = Object.keys(known).join(", ");
  process.stderr.write(`There is no measurement ${unknown.join(", ")}. There are: ${all}.\n`);
  process.exitCode = 2;
} else await measure(positionals.length > 0 ? positionals : Object.keys(measurements));

async function measure(names: readonly string[]): Promise<void> {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const measured = new Map<string, Measured>();
  const bench = openBench(values.small);
  try {
    for (const name of names) {
      process.stderr.write(`${seconds().toFixed(0)} s: ${name}\n`);
      const result = await known[name]?.(bench);
      if (result) measured.set(name, result);
    }
  } finally {
    await bench.close();
  }
  const text = renderResults(measured, { seconds: seconds(), small: values.small });
  if (positionals.length > 0 || values.small) process.stdout.write(text);
  else writeFileSync(join(import.meta.dirname, "RESULTS.md"), text);
}
