import { createAccess } from "#base/access/index.ts";
import { type Configuration, findPackage, sqliteFile } from "#base/config/index.ts";
import { openSqlite, ownDataDirectory } from "#base/database/index.ts";
import { createEventBus } from "#base/events/index.ts";
import { type DataDirectory, openDataDirectory } from "#base/files/index.ts";
import { createJobs } from "#base/jobs/index.ts";
import { type Ledger, openLedger } from "#base/ledger/index.ts";
import { removeServerFile, writeServerFile } from "#base/network/index.ts";
import { createLogger, createMetrics } from "#base/telemetry/index.ts";
import { createWorkers } from "#base/workers/index.ts";
import { createEmbeddings } from "#engine/embeddings/index.ts";
import { createStaticRuntime } from "#engine/runtimes/index.ts";
import { createOverview } from "#workbench/overview/index.ts";
import { createSearch } from "#workbench/search/index.ts";
import { openHttp } from "#doors/http/index.ts";
import { type App, operations } from "#operations/index.ts";

/** All rooms, opened over one data directory that this process owns. */
export type OpenApp = App & {
  readonly home: DataDirectory;
  /** Stops jobs within one item, ends the run's ledger, closes the database, gives the data directory back. May be called twice. */
  close(): Promise<void>;
};

/** Opens the rooms in the order of the house, then takes up the jobs that were left. Raises what keeps it from opening. */
export async function openApp(configuration: Configuration): Promise<OpenApp> {
  const home = await openDataDirectory(configuration.config.storage.home);
  const owner = ownDataDirectory(home.run);
  try {
    return await openRooms(configuration, home, () => owner.release());
  } catch (thrown) {
    owner.release();
    throw thrown;
  }
}

async function openRooms(
  configuration: Configuration,
  home: DataDirectory,
  release: () => void,
): Promise<OpenApp> {
  const { config } = configuration;
  const logger = createLogger({ ...config.logging, folder: home.logs });
  const metrics = createMetrics();
  // Faults that happen before the ledger is open are kept until it is.
  const early: unknown[] = [];
  let ledger: Ledger | null = null;
  const onFault = (thrown: unknown, facts: Record<string, unknown>) => {
    if (ledger) void ledger.record(thrown, { facts });
    else early.push(thrown);
  };
  const workers = createWorkers({ onFault: ({ pool, error }) => onFault(error, { pool }) });
  const database = await openSqlite({
    path: sqliteFile(config.database.url, home.home),
    backups: home.backups,
    onFault: (error) => onFault(error, { part: "database" }),
  });
  ledger = await openLedger({
    database,
    logger,
    artifacts: home.artifacts,
    facts: { version: findPackage().version, environment: config.environment },
  });
  for (const thrown of early) await ledger.record(thrown);
  const access = createAccess(database, {
    tokenMinutes: config.security.signInMinutes,
    sessionHours: config.security.sessionHours,
  });
  const jobs = createJobs({ database, ledger, events: createEventBus(), metrics });
  const { performance: limits } = config;
  const runtime = createStaticRuntime({
    workers,
    threads: limits.embedThreads,
    threadMegabytes: limits.workerMegabytes,
    callLimitMs: limits.workerTimeoutSeconds * 1000,
  });
  const embeddings = createEmbeddings({
    database,
    metrics,
    runtime,
    folders: config.models.static,
  });
  const search = createSearch({
    store: { database, ledger },
    access,
    jobs,
    embeddings,
    machine: {
      workers,
      settings: () => ({
        roots: configuration.config.storage.roots,
        indexConcurrency: limits.indexConcurrency,
        workerMegabytes: limits.workerMegabytes,
        workerTimeoutMs: limits.workerTimeoutSeconds * 1000,
      }),
    },
  });
  const overview = createOverview({
    configuration,
    directory: home,
    state: { database, ledger, jobs },
    telemetry: { logger, metrics },
    models: { embeddings, search, workers },
  });
  await jobs.takeUp();
  const opened = ledger;
  let closed: Promise<void> | null = null;
  const close = async () => {
    await jobs.close();
    await workers.dispose();
    await opened.end();
    await database.close();
    metrics.close();
    logger.close();
    release();
  };
  return {
    configuration,
    logger,
    metrics,
    database,
    ledger,
    access,
    jobs,
    embeddings,
    search,
    overview,
    catalogue: operations,
    home,
    close: () => (closed ??= close()),
  };
}

/** A running Candor: its address, a one-time address for a browser, and the key of the principal `local`. */
export type Served = {
  readonly app: OpenApp;
  readonly url: string;
  readonly signInUrl: string;
  readonly key: string;
  close(): Promise<void>;
};

/** Opens the rooms and the HTTP door, and says in `run/server.json` how to reach them. */
export async function serveApp(
  configuration: Configuration,
  address: { host: string; port: number },
): Promise<Served> {
  const app = await openApp(configuration);
  try {
    const http = await openHttp(app, operations, address);
    const key = app.access.localKey;
    await writeServerFile(app.home.run, {
      url: http.url,
      pid: process.pid,
      key,
      version: findPackage().version,
      startedAt: new Date().toISOString(),
    });
    return {
      app,
      url: http.url,
      signInUrl: `${http.url}/#token=${app.access.signIn.issueToken()}`,
      key,
      close: async () => {
        await removeServerFile(app.home.run, key);
        await http.close();
        await app.close();
      },
    };
  } catch (thrown) {
    await app.close();
    throw thrown;
  }
}
