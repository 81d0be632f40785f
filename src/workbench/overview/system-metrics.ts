import type { Jobs } from "#base/jobs/index.ts";
import type { Metrics, MetricsSnapshot } from "#base/telemetry/index.ts";

export type SystemMetrics = MetricsSnapshot & { jobs: { queued: number; running: number } };

/** The counters since the start with the process and the queue as they are now. */
export function systemMetrics(rooms: { metrics: Metrics; jobs: Jobs }): SystemMetrics {
  return { ...rooms.metrics.snapshot(), jobs: rooms.jobs.counts() };
}
