import { existsSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { isAbsolute, relative, resolve, sep } from "node:path";
import type { Access, Principal } from "#base/access/index.ts";
import type { CollectionRow, Scope } from "#base/database/index.ts";
import {
  FileMissingError,
  InputInvalidError,
  type Notice,
  PathRefusedError,
} from "#base/errors/index.ts";
import type { Job, Jobs } from "#base/jobs/index.ts";
import type { Ledger } from "#base/ledger/index.ts";
import type { Embeddings, Space } from "#engine/embeddings/index.ts";
import type { Database } from "#base/database/index.ts";
import { type Workers, type WorkerPool, taskUrl } from "#base/workers/index.ts";
import { addBatchJob } from "./add-batch.ts";
import { type AddDocument, type Added, addDocument, toIncoming } from "./add-document.ts";
import { type Collections, createCollections, type Deleted } from "./collections.ts";
import { createDocuments, type Documents } from "./documents.ts";
import { explainHit, type ExplainQuery, type Explanation } from "./explain.ts";
import type { IndexDependencies } from "./index-document.ts";
import { runQuery, type SearchAnswer, type SearchPosition, type SearchQuery } from "./query.ts";
import { keepKeywords } from "./keyword-index.ts";
import { syncJob } from "./sync-folder.ts";
import { createTrash, type Trash } from "./trash.ts";
import { createVectorIndex, reportLostVectors } from "./vector-index.ts";

/** What the room needs of the configuration, read at each use: run-time settings may change. */
export type SearchSettings = {
  readonly roots: readonly string[];
  readonly trashDays: number;
  readonly indexConcurrency: number;
  readonly workerMegabytes: number;
  readonly workerTimeoutMs: number;
};

export type SearchDependencies = {
  store: { database: Database; ledger: Ledger };
  access: Access;
  jobs: Jobs;
  embeddings: Embeddings;
  machine: { workers: Workers; settings: () => SearchSettings };
};

type Options = { signal: AbortSignal; notice: (notice: Notice) => void };

export type Search = {
  findCollection(named: string): Promise<CollectionRow>;
  readonly collections: Omit<Collections, "find">;
  readonly documents: Documents;
  readonly trash: Trash;
  /** Looks at what is derived where opening the store could not vouch for it: mends keyword tables, reports lost vectors. */
  checkIndexes(): Promise<void>;
  addDocument(collection: CollectionRow, input: AddDocument, signal: AbortSignal): Promise<Added>;
  startBatch(
    collection: CollectionRow,
    principal: Principal,
    batch: { documents: AddDocument[]; batchSize: number },
  ): Promise<Job>;
  startSync(
    collection: CollectionRow,
    principal: Principal,
    wanted: { path: string; include?: string[] | undefined; exclude?: string[] | undefined },
  ): Promise<Job>;
  query(
    scope: Scope,
    query: SearchQuery,
    position: SearchPosition | null,
    options: Options,
  ): Promise<{ answer: SearchAnswer; next: SearchPosition | null }>;
  explain(scope: Scope, asked: ExplainQuery, options: Options): Promise<Explanation>;
};

/** Threads that read and cut documents per space: one keeps the embedding threads busy. */
const preparingThreads = 2;
const idleThreadMs = 30_000;

/** The room of collections: what is in them, how it gets in, and how it is found. */
export function createSearch(dependencies: SearchDependencies): Search {
  const { store, access, jobs, embeddings, machine } = dependencies;
  const { database, ledger } = store;
  const vectors = createVectorIndex(database);
  const trashing = (by: Principal) => ({ by: by.id, days: machine.settings().trashDays });
  const collections = createCollections({ database, access, embeddings, trashing });
  const indexing: IndexDependencies = {
    database,
    embeddings,
    vectors,
    preparing: preparingPools(embeddings, machine),
    limits: () => ({
      timeoutMs: machine.settings().workerTimeoutMs,
      concurrency: machine.settings().indexConcurrency,
      trashDays: machine.settings().trashDays,
    }),
    demandWriter: (owner, collection) => access.demandWriter(owner, collection),
  };
  jobs.define(addBatchJob(indexing, collections.find));
  jobs.define(
    syncJob(indexing, collections.find, async (root, anywhere) => {
      await allowedPath(anywhere, root, machine.settings().roots);
    }),
  );
  const start = jobStarter(database, jobs);
  const keywords = keepKeywords(database, ledger);
  const querying = { database, ledger, embeddings, vectors, jobs, counted: new Map() };
  return {
    findCollection: collections.find,
    collections: {
      ...collections,
      delete: async (row: CollectionRow, by: Principal, dryRun: boolean): Promise<Deleted> => {
        const answer = await collections.delete(row, by, dryRun);
        if (!dryRun) vectors.forget(row.id);
        return answer;
      },
    },
    documents: createDocuments(database, vectors, trashing),
    checkIndexes: async () => {
      await keywords.checkAll();
      await reportLostVectors(database, ledger);
    },
    trash: createTrash({ database, access, ledger, vectors }),
    addDocument: (collection, input, signal) =>
      addDocument(indexing, collection, toIncoming(input), signal),
    startBatch: (collection, principal, batch) =>
      start("documents.addBatch", collection, principal, batch),
    startSync: async (collection, principal, { path, include, exclude }) => {
      const anywhere = principal.kind === "local";
      const root = await allowedRoot(anywhere, path, machine.settings().roots);
      return start("collections.sync", collection, principal, { root, anywhere, include, exclude });
    },
    query: (scope, query, position, options) => runQuery(querying, scope, query, position, options),
    explain: (scope, asked, options) => explainHit(querying, scope, asked, options),
  };
}

/** Starts a job on a collection; the transaction that stores it keeps the answer. */
function jobStarter(database: Database, jobs: Jobs) {
  return async (
    kind: string,
    collection: CollectionRow,
    principal: Principal,
    input: Record<string, unknown>,
  ): Promise<Job> => {
    const job = await database.write(async (handle) => {
      const made = await jobs.enqueue(handle, kind, {
        owner: principal.owner,
        target: { type: "collection", id: collection.id },
        input: { collection: collection.id, ...input },
      });
      await handle.answer({ job: made });
      return made;
    });
    jobs.dispatch();
    return job;
  };
}

/** One pool per space: its threads cut text with that space's tokenizer. */
function preparingPools(
  embeddings: Embeddings,
  { workers, settings }: SearchDependencies["machine"],
): (space: Space) => Promise<WorkerPool> {
  const pools = new Map<string, WorkerPool>();
  return async (space) => {
    const tokenizerFolder = await embeddings.folderOf(space);
    const known = pools.get(space.id);
    if (known) return known;
    const pool = workers.pool({
      name: `prepare ${space.name} ${space.id}`,
      task: taskUrl(import.meta.url, "workbench/readers/prepare-task.ts"),
      size: preparingThreads,
      memoryMegabytes: settings().workerMegabytes,
      idleMs: idleThreadMs,
      openData: { tokenizerFolder },
    });
    pools.set(space.id, pool);
    return pool;
  };
}

/** The real path of a folder that may be indexed: `anywhere` by `local`, else below `storage.roots`. */
async function allowedRoot(
  anywhere: boolean,
  path: string,
  roots: readonly string[],
): Promise<string> {
  const root = await allowedPath(anywhere, path, roots);
  if ((await stat(root)).isDirectory()) return root;
  throw new InputInvalidError(
    `${path} is a file; a sync takes a folder. Add a single file with \`candor add\`.`,
    { errors: [{ pointer: "/path", message: "is not a folder" }] },
  );
}

async function allowedPath(
  anywhere: boolean,
  path: string,
  roots: readonly string[],
): Promise<string> {
  if (!anywhere && !isAbsolute(path))
    throw new PathRefusedError(`The path ${path} is not absolute.`);
  const real = await realFolder(resolve(path), anywhere);
  if (anywhere) return real;
  for (const root of roots) {
    // A configured folder that is not there allows nothing, and says nothing of itself.
    if (!existsSync(root)) continue;
    const allowed = await realFolder(root, false);
    const below = relative(allowed, real);
    if (below === "" || (!below.startsWith(`..${sep}`) && below !== ".." && !isAbsolute(below)))
      return real;
  }
  throw outside(path);
}

async function realFolder(path: string, mayKnow: boolean): Promise<string> {
  try {
    return await realpath(path);
  } catch (thrown) {
    // Whether a path exists is told only to those who may read it.
    if (!mayKnow) throw outside(path);
    throw new FileMissingError(`The folder ${path} does not exist or cannot be read.`, {
      cause: thrown,
    });
  }
}

function outside(path: string): Error {
  return new PathRefusedError(
    `The path ${path} is outside the folders that may be indexed. The setting storage.roots lists them; only \`local\` may name any.`,
  );
}
