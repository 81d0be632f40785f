import { type Configuration, findPackage } from "#base/config/index.ts";
import type { Database } from "#base/database/index.ts";
import type { DataDirectory } from "#base/files/index.ts";
import type { Jobs } from "#base/jobs/index.ts";
import type { Ledger } from "#base/ledger/index.ts";
import type { Logger, Metrics, Traces } from "#base/telemetry/index.ts";
import type { Workers } from "#base/workers/index.ts";
import type { Embeddings } from "#engine/embeddings/index.ts";
import type { Search } from "#workbench/search/index.ts";
import { healthProbes } from "./check-health.ts";
import { type Cleaned, type CleanupKind, cleanStorage, usualKinds } from "./clean-storage.ts";
import { describeSystem, type SystemInfo } from "./describe-system.ts";
import {
  type Activity,
  type ActivityKind,
  type ActivityOf,
  type ActivityPosition,
  listActivity,
} from "./list-activity.ts";
import { type HealthCheck, type HealthState, measureHealth, worstOf } from "./measure-health.ts";
import { createMeasureStorage, type StorageUsage } from "./measure-storage.ts";
import { systemMetrics, type SystemMetrics, watchRooms } from "./system-metrics.ts";

export type OverviewDependencies = {
  configuration: Configuration;
  directory: DataDirectory;
  state: { database: Database; ledger: Ledger; jobs: Jobs };
  telemetry: { logger: Logger; metrics: Metrics; traces: Traces };
  models: { embeddings: Embeddings; search: Search; workers: Workers };
};

export type Health = { status: HealthState; version: string; checks: HealthCheck[] };

export type Overview = {
  /** Every part, probed now. */
  health(): Promise<Health>;
  /** Up or not, for anybody who asks: the newest measurement if it is at most a second old, else a new one. */
  alive(): Promise<"ok" | "failed">;
  info(): Promise<SystemInfo>;
  metrics(): Promise<SystemMetrics>;
  /** Bytes by kind, measured now. */
  storage(): Promise<StorageUsage>;
  /** Removes what nothing needs, or counts it; without kinds the usual ones. */
  cleanup(kinds: readonly CleanupKind[] | undefined, dryRun: boolean): Promise<Cleaned[]>;
  /** Jobs, audited actions and errors as one list, newest first. */
  activity(
    whose: ActivityOf,
    page: { kind?: ActivityKind | undefined; after: ActivityPosition | null; limit: number },
  ): Promise<Activity[]>;
};

/** Parts without which nothing can be answered. Nobody without a key makes the server load a model. */
const vitalParts: readonly string[] = ["node", "dataDirectory", "database"];

/** How long callers without a key share one measurement: they cannot make the server write and embed at will. */
const sharedForMs = 1000;

/** The room that looks at all others: health, facts and numbers of the whole system. */
export function createOverview(dependencies: OverviewDependencies): Overview {
  const startedAt = new Date();
  watchRooms(dependencies);
  const { version } = findPackage();
  const probes = healthProbes(dependencies);
  const vital = probes.filter(({ name }) => vitalParts.includes(name));
  const health = async (): Promise<Health> => {
    const checks = await measureHealth(probes);
    return { status: worstOf(checks), version, checks };
  };
  let shared: { status: Promise<HealthState>; until: number } | null = null;
  return {
    health,
    alive: async () => {
      const now = performance.now();
      if (shared === null || shared.until <= now)
        shared = {
          status: measureHealth(vital).then(worstOf),
          until: now + sharedForMs,
        };
      return (await shared.status) === "failed" ? "failed" : "ok";
    },
    info: () => describeSystem(dependencies, startedAt),
    metrics: async () =>
      systemMetrics({ metrics: dependencies.telemetry.metrics, jobs: dependencies.state.jobs }),
    storage: createMeasureStorage(dependencies),
    cleanup: (kinds = usualKinds, dryRun) => {
      const { state, directory, models } = dependencies;
      return cleanStorage({ state, directory, search: models.search }, kinds, dryRun);
    },
    activity: (whose, page) => listActivity(dependencies.state.database, whose, page),
  };
}
