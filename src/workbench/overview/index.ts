export { createOverview } from "./create-overview.ts";
export type { Health, Overview, OverviewDependencies } from "./create-overview.ts";
export { runtimeStates } from "./describe-system.ts";
export type { SystemInfo } from "./describe-system.ts";
export { healthStates } from "./measure-health.ts";
export type { Finding, HealthCheck, HealthProbe, HealthState } from "./measure-health.ts";
export type { SystemMetrics } from "./system-metrics.ts";
