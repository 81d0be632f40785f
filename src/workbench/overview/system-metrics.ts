import type { Jobs } from "#base/jobs/index.ts";
import type { Metrics, MetricsSnapshot, Reading } from "#base/telemetry/index.ts";
import type { OverviewDependencies } from "./create-overview.ts";

export type SystemMetrics = MetricsSnapshot & { jobs: { queued: number; running: number } };

/** The counters since the start with the process and the queue as they are now. */
export function systemMetrics(rooms: { metrics: Metrics; jobs: Jobs }): SystemMetrics {
  return { ...rooms.metrics.snapshot(), jobs: rooms.jobs.counts() };
}

/** Has the metrics read the rooms that must not know each other, whenever somebody asks for them. */
export function watchRooms({ state, telemetry, models }: OverviewDependencies): void {
  const { metrics, logger, traces } = telemetry;
  metrics.watch(() => readWorkers(models.workers.status()));
  metrics.watch(() => readDatabase(state.database.statistics()));
  metrics.watch(() => readLedger(state.ledger.statistics()));
  metrics.watch(() => readJobs(state.database));
  metrics.watch((): Reading[] => {
    const { count, linesLost } = logger.faults();
    return [
      one("candor_log_faults_total", count),
      one("candor_log_lines_lost_total", linesLost),
      one("candor_spans_waiting", traces.on ? traces.waiting() : null),
    ];
  });
}

function one(name: Reading["name"], value: number | null, labels: Reading["labels"] = {}): Reading {
  return { name, labels, value };
}

type Pools = ReturnType<OverviewDependencies["models"]["workers"]["status"]>;

function readWorkers(pools: Pools): Reading[] {
  return pools.flatMap(({ name: pool, size, threads, busy, queued, restarts }) => [
    ...Object.entries({ size, threads, busy, waiting: queued }).map(([kind, value]) =>
      one("candor_workers", value, { pool, state: kind }),
    ),
    one("candor_worker_restarts_total", restarts, { pool }),
  ]);
}

type DatabaseFigures = ReturnType<OverviewDependencies["state"]["database"]["statistics"]>;

function readDatabase(figures: DatabaseFigures): Reading[] {
  const caches = Object.entries(figures.statements).flatMap(
    ([connection, { hits, misses, evictions, entries }]) => {
      const cache = `statements_${connection}`;
      return [
        one("candor_cache_entries", entries, { cache }),
        one("candor_cache_requests_total", hits, { cache, outcome: "hit" }),
        one("candor_cache_requests_total", misses, { cache, outcome: "miss" }),
        one("candor_cache_evictions_total", evictions, { cache }),
      ];
    },
  );
  return [
    one("candor_database_groups_total", figures.groups),
    one("candor_database_works_total", figures.works),
    one("candor_database_waiting", figures.waiting),
    one("candor_database_bytes", figures.fileBytes, { part: "file" }),
    one("candor_database_bytes", figures.logBytes, { part: "wal" }),
    ...caches,
  ];
}

type LedgerFigures = ReturnType<OverviewDependencies["state"]["ledger"]["statistics"]>;

function readLedger({ made, inMemory, inFile, lost }: LedgerFigures): Reading[] {
  return [
    ...Object.entries(made).map(([severity, value]) =>
      one("candor_ledger_entries_total", value, { severity }),
    ),
    one("candor_ledger_waiting", inMemory, { place: "memory" }),
    one("candor_ledger_waiting", inFile, { place: "file" }),
    one("candor_ledger_lost_total", lost),
  ];
}

/** Jobs that have not ended, as their rows say; the index by state finds them however many have. */
async function readJobs(database: OverviewDependencies["state"]["database"]): Promise<Reading[]> {
  const rows = await database.unscoped
    .selectFrom("jobs")
    .select(({ fn }) => ["kind", "state", fn.countAll<number>().as("count")])
    .where("state", "in", ["queued", "running", "interrupted"])
    .groupBy(["kind", "state"])
    .execute();
  return rows.map(({ kind, state, count }) => one("candor_jobs", Number(count), { kind, state }));
}
