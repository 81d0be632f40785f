export { createWorkers } from "./workers.ts";
export type { Workers } from "./workers.ts";
export type { PoolOptions, PoolStatus, WorkerPool } from "./worker-pool.ts";
export { serveTask, withTransfer } from "./serve-task.ts";
export { taskUrl } from "./task-url.ts";
export { probeMachine } from "./probe-machine.ts";
export type { Machine } from "./probe-machine.ts";
