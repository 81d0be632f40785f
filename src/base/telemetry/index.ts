export { createLogger } from "./create-logger.ts";
export type { Logger, LoggerFaults, LoggerOptions, LogLevel } from "./create-logger.ts";
export { createMetrics } from "./create-metrics.ts";
export type { Metrics, MetricsSnapshot } from "./create-metrics.ts";
