import { type CandorError, DefectError } from "#base/errors/index.ts";
import {
  createWorkerPool,
  type PoolOptions,
  type PoolStatus,
  type WorkerPool,
} from "./worker-pool.ts";

export type Workers = {
  /** A pool of threads for one task. Nothing starts before its first call. Its name must be free. */
  pool(options: PoolOptions): WorkerPool;
  /** Every pool that is not disposed. */
  status(): readonly PoolStatus[];
  /** Ends all threads of all pools; no pool can be made afterwards. May be called twice. */
  dispose(): Promise<void>;
};

/**
 * The room of worker threads. `onFault` hears of every thread that died, ran out of memory or was stopped for its time,
 * so that the ledger gets an entry; a task that cannot open is told to its callers only.
 */
export function createWorkers(dependencies: {
  onFault: (fault: { pool: string; error: CandorError }) => void;
}): Workers {
  const pools = new Map<string, WorkerPool>();
  let disposed = false;
  return {
    pool(options) {
      if (disposed) throw new DefectError(`pool "${options.name}" asked for after the shutdown`);
      if (pools.has(options.name))
        throw new DefectError(`there is a pool "${options.name}" already`);
      const pool = createWorkerPool(options, (error) =>
        dependencies.onFault({ pool: options.name, error }),
      );
      pools.set(options.name, pool);
      return {
        ...pool,
        async dispose() {
          await pool.dispose();
          if (pools.get(options.name) === pool) pools.delete(options.name);
        },
      };
    },
    status: () => [...pools.values()].map((pool) => pool.status()),
    async dispose() {
      disposed = true;
      await Promise.all([...pools.values()].map((pool) => pool.dispose()));
    },
  };
}
