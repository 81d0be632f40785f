import { createAccess } from "#base/access/index.ts";
import {
  type Certificate,
  type Configuration,
  findPackage,
  parseHeaderList,
  sqliteFile,
  tracesAddress,
  watchCertificate,
} from "#base/config/index.ts";
import { DatabaseTouchedError } from "#base/errors/index.ts";
import { openSqlite, ownDataDirectory } from "#base/database/index.ts";
import { createEventBus } from "#base/events/index.ts";
import {
  type DataDirectory,
  nameLastBackup,
  openDataDirectory,
  refuseUnfinishedRestore,
} from "#base/files/index.ts";
import { createJobs } from "#base/jobs/index.ts";
import { createAudit, type Ledger, openLedger } from "#base/ledger/index.ts";
import { createPost, removeServerFile, writeServerFile } from "#base/network/index.ts";
import { createLogger, createMetrics, openTraces } from "#base/telemetry/index.ts";
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
    refuseUnfinishedRestore(home.home);
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
  const base = await openBase(configuration, home);
  const rooms = buildRooms(configuration, home, base);
  await rooms.search.checkIndexes();
  await rooms.jobs.takeUp();
  const stopSweeping = rooms.search.trash.keepSweeping();
  const { database, ledger, logger, metrics, traces, workers } = base;
  const forget = configuration.onChange(({ logging }) => logger.setLevel(logging.level));
  const close = async () => {
    forget();
    await rooms.jobs.close();
    await stopSweeping();
    await workers.dispose();
    await ledger.end();
    await database.close();
    await traces.close();
    metrics.close();
    logger.close();
    release();
  };
  let closed: Promise<void> | null = null;
  return {
    configuration,
    home,
    logger,
    metrics,
    traces,
    database,
    ledger,
    ...rooms,
    catalogue: operations,
    close: () => (closed ??= close()),
  };
}

type Base = Awaited<ReturnType<typeof openBase>>;

/** What everything stands on: log, counters, threads, the store and the ledger of this run. */
async function openBase({ config }: Configuration, home: DataDirectory) {
  const logger = createLogger({ ...config.logging, folder: home.logs });
  const metrics = createMetrics();
  const url = tracesAddress(config.telemetry);
  const traces = await openTraces(
    url === null
      ? null
      : {
          ...config.telemetry,
          version: findPackage().version,
          send: createPost({ url, headers: parseHeaderList(config.telemetry.headers) }),
          metrics,
          logger,
        },
  );
  // Faults that happen before the ledger is open are kept until it is.
  const early: unknown[] = [];
  let opened: Ledger | null = null;
  const onFault = (thrown: unknown, facts: Record<string, unknown>) => {
    if (opened) void opened.record(thrown, { facts });
    else early.push(thrown);
  };
  const workers = createWorkers({ onFault: ({ pool, error }) => onFault(error, { pool }) });
  const database = await openSqlite({
    path: sqliteFile(config.database.url, home.home),
    backups: home.backups,
    onFault: (error) => onFault(error, { part: "database" }),
  }).catch(async (thrown: unknown) => {
    throw await nameLastBackup(thrown, home.backups);
  });
  const ledger = await openLedger({
    database,
    logger,
    artifacts: home.artifacts,
    facts: { version: findPackage().version, environment: config.environment },
  });
  opened = ledger;
  for (const thrown of early) await ledger.record(thrown);
  for (const remark of database.found.remarks)
    await ledger.record(new DatabaseTouchedError(remark));
  return { logger, metrics, traces, workers, database, ledger };
}

/** The rooms above the store, in the order of the house. */
function buildRooms(configuration: Configuration, home: DataDirectory, base: Base) {
  const { database, ledger, logger, metrics, traces, workers } = base;
  const { security, performance: limits, models } = configuration.config;
  const access = createAccess({
    database,
    secretKey: () => configuration.config.security.secretKey,
    limits: { ...security, tokenMinutes: security.signInMinutes },
    report: (thrown) => ledger.record(thrown),
  });
  const jobs = createJobs({ database, ledger, events: createEventBus(), metrics, traces });
  const runtime = createStaticRuntime({
    workers,
    threads: limits.embedThreads,
    threadMegabytes: limits.workerMegabytes,
    callLimitMs: limits.workerTimeoutSeconds * 1000,
  });
  const embeddings = createEmbeddings({ database, metrics, runtime, folders: models.static });
  const settings = () => ({
    roots: configuration.config.storage.roots,
    trashDays: configuration.config.storage.trashDays,
    indexConcurrency: limits.indexConcurrency,
    workerMegabytes: limits.workerMegabytes,
    workerTimeoutMs: limits.workerTimeoutSeconds * 1000,
  });
  const store = { database, ledger };
  const search = createSearch({ store, access, jobs, embeddings, machine: { workers, settings } });
  const overview = createOverview({
    configuration,
    directory: home,
    state: { database, ledger, jobs },
    telemetry: { logger, metrics, traces },
    models: { embeddings, search, workers },
  });
  return { audit: createAudit(database), access, jobs, embeddings, search, overview };
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
  address: { host: string; port: number; certificate?: Certificate | null },
): Promise<Served> {
  const app = await openApp(configuration);
  try {
    const http = await openHttp(app, operations, address);
    const key = app.access.localKey;
    const startedAt = new Date().toISOString();
    const announce = (pins?: string[]) =>
      writeServerFile(app.home.run, {
        url: http.url,
        pid: process.pid,
        key,
        ...(pins === undefined ? {} : { pins }),
        version: findPackage().version,
        startedAt,
      });
    const { certificate = null } = address;
    await announce(certificate === null ? undefined : [certificate.fingerprint]);
    const stopWatching =
      certificate === null
        ? () => {}
        : watchCertificate(configuration.config.server, certificate, {
            onRenewed: async (renewed, before) => {
              // Commands that ask in between may meet either.
              await announce([renewed.fingerprint, before]);
              http.renew(renewed);
              app.logger.info({ fingerprint: renewed.fingerprint }, "certificate renewed");
            },
            onFault: (thrown) => void app.ledger.record(thrown, { operation: "serve" }),
          });
    return {
      app,
      url: http.publicUrl,
      signInUrl: `${http.publicUrl}/#token=${app.access.signIn.issueToken()}`,
      key,
      close: async () => {
        stopWatching();
        const closed = http.close();
        await removeServerFile(app.home.run, key);
        await closed;
        await app.close();
      },
    };
  } catch (thrown) {
    await app.close();
    throw thrown;
  }
}
