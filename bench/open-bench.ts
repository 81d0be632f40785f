import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localPrincipal } from "#base/access/index.ts";
import { type Configuration, loadConfiguration } from "#base/config/index.ts";
import type { CollectionRow } from "#base/database/index.ts";
import type { Job } from "#base/jobs/index.ts";
import { type Served, serveApp } from "#app";
import { type Operation, operations, runOperation } from "#operations/index.ts";
import { sectionsPerFile, writeCorpus } from "./corpus.ts";
import { secondsOf } from "./measurement.ts";

/** A folder of generated files, indexed in a collection of its own. */
export type Indexed = {
  readonly collection: CollectionRow;
  readonly files: number;
  readonly chunks: number;
  readonly seconds: number;
};

/** What measurements share: sizes, temporary folders and one running Candor, all gone after `close`. */
export type Bench = {
  /** `full` in a whole run, `small` in a trial. */
  size(full: number, small: number): number;
  temporaryFolder(name: string): string;
  /** A configuration over a data directory of its own, with nothing from this machine's environment. */
  configure(name: string, flags?: Readonly<Record<string, unknown>>): Configuration;
  /** The shared Candor with its HTTP door, warm: threads are started and the model is loaded. */
  served(): Promise<Served>;
  /** Runs an operation in process, as the principal `local`. */
  run(operation: string, input: unknown): Promise<unknown>;
  /** Indexes `folder` in a new collection of the shared Candor. Raises when a file failed. */
  index(
    name: string,
    folder: string,
    chunking?: { maxTokens: number; overlapTokens: number },
  ): Promise<Indexed>;
  /** A collection of about `chunks` generated chunks, made at its first use. */
  generated(chunks: number): Promise<Indexed>;
  close(): Promise<void>;
};

export function openBench(small: boolean): Bench {
  const root = mkdtempSync(join(tmpdir(), "candor-bench-"));
  const generated = new Map<number, Promise<Indexed>>();
  let serving: Promise<Served> | null = null;
  let folders = 0;
  const temporaryFolder = (name: string) => {
    folders += 1;
    const folder = join(root, `${folders}-${name}`);
    mkdirSync(folder);
    return folder;
  };
  const configure: Bench["configure"] = (name, flags = {}) =>
    loadConfiguration({
      flags: { "storage.home": join(temporaryFolder(name), "home"), ...flags },
      environment: {},
      workingDirectory: root,
    });
  const served = () => (serving ??= serve(configure("shared"), temporaryFolder("warm")));
  const index: Bench["index"] = async (name, folder, chunking) =>
    indexFolder(await served(), name, folder, chunking);
  return {
    size: (full, trial) => (small ? trial : full),
    temporaryFolder,
    configure,
    served,
    run: async (operation, input) => runLocally((await served()).app, operation, input),
    index,
    generated: (chunks) => {
      const known = generated.get(chunks);
      if (known) return known;
      const folder = temporaryFolder(`corpus-${chunks}`);
      writeCorpus(folder, Math.round(chunks / sectionsPerFile), chunks);
      const made = index(`generated-${chunks}`, folder);
      generated.set(chunks, made);
      return made;
    },
    close: async () => {
      try {
        const open = await serving;
        await open?.close();
      } finally {
        rmSync(root, { recursive: true, force: true });
      }
    },
  };
}

async function serve(configuration: Configuration, folder: string): Promise<Served> {
  const served = await serveApp(configuration, { host: "127.0.0.1", port: 0 });
  writeCorpus(folder, 20, 1);
  await indexFolder(served, "warm", folder);
  for (const query of ["a first query", "a second query"])
    await runLocally(served.app, "search.query", { query, collections: ["warm"] });
  return served;
}

async function runLocally(app: Served["app"], name: string, input: unknown): Promise<unknown> {
  const operation: Operation | undefined = operations.find((each) => each.name === name);
  if (!operation) throw new TypeError(`there is no operation ${name}`);
  return (await runOperation(app, operation, input, { principal: localPrincipal })).output;
}

async function indexFolder(
  { app }: Served,
  name: string,
  folder: string,
  chunking?: { maxTokens: number; overlapTokens: number },
): Promise<Indexed> {
  await runLocally(app, "collections.create", { name, ...(chunking ? { chunking } : {}) });
  const collection = await app.search.findCollection(name);
  let ended: Job | undefined;
  const seconds = await secondsOf(async () => {
    const { job } = (await runLocally(app, "collections.sync", {
      collection: name,
      path: folder,
    })) as { job: Job };
    ended = await app.jobs.ended(job.id, AbortSignal.timeout(600_000));
  });
  if (ended?.state !== "succeeded" || ended.failed > 0 || ended.skipped > 0)
    throw new Error(`indexing ${name} ended with ${JSON.stringify(ended)}`);
  const counted = await app.database.unscoped
    .selectFrom("documents")
    .select(({ fn }) => [
      fn.countAll<number>().as("files"),
      fn.sum<number>("chunk_count").as("chunks"),
    ])
    .where("collection_id", "=", collection.id)
    .executeTakeFirstOrThrow();
  return {
    collection: await app.search.findCollection(name),
    files: Number(counted.files),
    chunks: Number(counted.chunks),
    seconds,
  };
}
