import {
  CancelledError,
  type CandorError,
  OverloadedError,
  toCandorError,
  WorkerTimeoutError,
} from "#base/errors/index.ts";
import { inSpan, withoutContext } from "#base/telemetry/index.ts";
import { createRequest, type RunOptions, type WorkerRequest } from "./worker-request.ts";
import { startThread, type Thread } from "./worker-thread.ts";

/** Calls that may wait in front of one pool; beyond it the caller is told to come back (what serving systems for inference use). */
const longestQueue = 512;

/** Milliseconds that a task may take to open: a model of 8 MB takes 0.2 s, a cold disk many times that. */
const longestOpenMs = 60_000;

/** Milliseconds after which an overloaded pool is worth another try. */
const retryWhenOverloadedMs = 1_000;

export type PoolOptions = {
  /** Unique; shown in messages and in the status. */
  readonly name: string;
  /** The task module, from `taskUrl`. It is named, never imported. */
  readonly task: URL;
  /** Most threads at once. */
  readonly size: number;
  /** Heap and buffers of one thread together, garbage that is not yet collected included. */
  readonly memoryMegabytes: number;
  /** A thread without work for this long ends and gives its memory back. */
  readonly idleMs: number;
  /** What the task's `open` gets (structured clone). */
  readonly openData: unknown;
  readonly queueLimit?: number;
  readonly openTimeoutMs?: number;
};

export type WorkerFault = {
  /** UTC milliseconds. */
  readonly at: number;
  readonly code: string;
  readonly message: string;
};

export type PoolStatus = {
  readonly name: string;
  readonly size: number;
  /** Threads alive now; 0 before the first use and after a while without work. */
  readonly threads: number;
  readonly busy: number;
  readonly queued: number;
  /** Threads started in place of one that failed. */
  readonly restarts: number;
  /** When the last answer came, UTC milliseconds. A later `lastFault` means that the pool has not worked since. */
  readonly lastAnswerAt: number | null;
  readonly lastFault: WorkerFault | null;
};

export type WorkerPool = {
  /**
   * Runs one call in a free thread. Rejects with the task's own catalogue error, `WorkerTimeoutError`,
   * `OutOfMemoryError`, `WorkerCrashedError`, `CancelledError` (signal or dispose) or `OverloadedError` (queue full).
   * A call that fails takes no other call with it, except that a task which cannot open fails everything in the queue.
   */
  run<T>(method: string, payload: unknown, options: RunOptions): Promise<T>;
  status(): PoolStatus;
  /** Ends all threads; calls in work or waiting reject with `CancelledError`. May be called twice. */
  dispose(): Promise<void>;
};

type Slot = {
  readonly thread: Thread;
  ready: boolean;
  request: WorkerRequest | undefined;
  /** Of the opening, of the call in work, or of the wait for the next call: a slot is in one of the three. */
  timer: NodeJS.Timeout | undefined;
};

type Pool = {
  readonly options: PoolOptions;
  readonly onFault: (error: CandorError) => void;
  readonly slots: Set<Slot>;
  readonly queue: WorkerRequest[];
  readonly endings: Set<Promise<void>>;
  disposed: Promise<void> | undefined;
  lastId: number;
  threadsToReplace: number;
  restarts: number;
  lastAnswerAt: number | null;
  lastFault: WorkerFault | null;
};

/** A pool of at most `size` threads with one queue in front. `onFault` hears of every thread that died or was stopped. */
export function createWorkerPool(
  options: PoolOptions,
  onFault: (error: CandorError) => void,
): WorkerPool {
  const pool: Pool = {
    options,
    onFault,
    slots: new Set(),
    queue: [],
    endings: new Set(),
    disposed: undefined,
    lastId: 0,
    threadsToReplace: 0,
    restarts: 0,
    lastAnswerAt: null,
    lastFault: null,
  };
  return {
    run: (method, payload, runOptions) =>
      inSpan(
        {
          name: `worker ${options.name}`,
          attributes: { "candor.pool": options.name, "candor.method": method },
        },
        () => enqueue(pool, method, payload, runOptions),
      ),
    status: () => describePool(pool),
    dispose() {
      pool.disposed ??= endAll(pool);
      return pool.disposed;
    },
  };
}

async function enqueue<T>(
  pool: Pool,
  method: string,
  payload: unknown,
  options: RunOptions,
): Promise<T> {
  const { name, queueLimit = longestQueue, size } = pool.options;
  if (pool.disposed !== undefined)
    throw new CancelledError(`${name}: the workers were shut down, "${method}" was not run`);
  if (options.signal?.aborted)
    throw new CancelledError(`"${method}" was cancelled`, { cause: options.signal.reason });
  const room = pool.slots.size < size || findFree(pool) !== undefined;
  if (!room && pool.queue.length >= queueLimit)
    throw new OverloadedError(
      `${name}: ${pool.queue.length} calls are waiting, the limit is ${queueLimit}`,
      { retryAfterMs: retryWhenOverloadedMs, details: { waiting: pool.queue.length, queueLimit } },
    );
  pool.lastId += 1;
  const call = { id: pool.lastId, method, payload };
  const { promise, request } = createRequest<T>(call, options, (cancelled) =>
    takeOut(pool, cancelled),
  );
  pool.queue.push(request);
  pump(pool);
  return promise;
}

/** Gives waiting calls to free threads, starting threads up to the pool's size. */
function pump(pool: Pool): void {
  for (;;) {
    const request = pool.queue[0];
    if (request === undefined) return;
    let slot = findFree(pool);
    // A thread outlives the request that it is started for.
    if (slot === undefined && pool.slots.size < pool.options.size)
      slot = withoutContext(() => openSlot(pool));
    if (slot === undefined) return;
    pool.queue.shift();
    slot.request = request;
    if (slot.ready) handOver(pool, slot, request);
  }
}

function findFree(pool: Pool): Slot | undefined {
  const free = [...pool.slots].filter((slot) => slot.request === undefined);
  return free.find((slot) => slot.ready) ?? free[0];
}

function openSlot(pool: Pool): Slot {
  const { name, openTimeoutMs = longestOpenMs } = pool.options;
  const thread = startThread(pool.options, {
    onReady() {
      slot.ready = true;
      if (slot.request === undefined) rest(pool, slot);
      else handOver(pool, slot, slot.request);
    },
    onOpenFailed: (error) => lose(pool, slot, error),
    onAnswer: (id, value) => settle(pool, slot, id, (request) => request.resolve(value)),
    onFailure: (id, error) => settle(pool, slot, id, (request) => request.reject(error)),
    onDeath: (error) => loseAndReport(pool, slot, error),
  });
  const timer = setTimeout(() => {
    const message = `${name}: opening took longer than ${openTimeoutMs} ms and was stopped`;
    loseAndReport(pool, slot, new WorkerTimeoutError(message, { details: { openTimeoutMs } }));
  }, openTimeoutMs);
  const slot: Slot = { thread, ready: false, request: undefined, timer };
  pool.slots.add(slot);
  if (pool.threadsToReplace > 0) {
    pool.threadsToReplace -= 1;
    pool.restarts += 1;
  }
  return slot;
}

function handOver(pool: Pool, slot: Slot, request: WorkerRequest): void {
  clearTimeout(slot.timer);
  slot.thread.setBusy(true);
  try {
    slot.thread.post(request.call, request.transfer);
  } catch (error) {
    request.reject(toCandorError(error));
    rest(pool, slot);
    return;
  }
  const { method } = request.call;
  slot.timer = setTimeout(() => {
    const message = `${pool.options.name}: "${method}" took longer than ${request.timeoutMs} ms and was stopped`;
    const details = { method, limitMs: request.timeoutMs };
    loseAndReport(pool, slot, new WorkerTimeoutError(message, { details }));
  }, request.timeoutMs);
}

function settle(
  pool: Pool,
  slot: Slot,
  id: number,
  finish: (request: WorkerRequest) => void,
): void {
  if (slot.request?.call.id !== id) return;
  pool.lastAnswerAt = Date.now();
  finish(slot.request);
  rest(pool, slot);
}

/** The thread has nothing to do: it takes the next call, or waits for its end. */
function rest(pool: Pool, slot: Slot): void {
  clearTimeout(slot.timer);
  slot.request = undefined;
  slot.thread.setBusy(false);
  slot.timer = setTimeout(() => drop(pool, slot), pool.options.idleMs).unref();
  pump(pool);
}

function loseAndReport(pool: Pool, slot: Slot, error: CandorError): void {
  const report = () => pool.onFault(error);
  if (slot.request === undefined) withoutContext(report);
  else slot.request.inCourse(report);
  lose(pool, slot, error);
}

/** The thread is lost: its call fails, and the whole queue too when no thread of this pool could open. */
function lose(pool: Pool, slot: Slot, error: CandorError): void {
  pool.lastFault = { at: Date.now(), code: error.code, message: error.message };
  pool.threadsToReplace += 1;
  drop(pool, slot);
  slot.request?.reject(error);
  const hopeless = !slot.ready && ![...pool.slots].some((other) => other.ready);
  if (hopeless) for (const request of pool.queue.splice(0)) request.reject(error);
  pump(pool);
}

/** A cancelled call leaves the queue, or its thread is ended; a thread that is still opening goes on for the next call. */
function takeOut(pool: Pool, request: WorkerRequest): void {
  const place = pool.queue.indexOf(request);
  if (place >= 0) pool.queue.splice(place, 1);
  const slot = [...pool.slots].find((candidate) => candidate.request === request);
  if (slot === undefined) return;
  if (slot.ready) drop(pool, slot);
  else slot.request = undefined;
  pump(pool);
}

function drop(pool: Pool, slot: Slot): void {
  clearTimeout(slot.timer);
  pool.slots.delete(slot);
  const ending = slot.thread.end().finally(() => pool.endings.delete(ending));
  pool.endings.add(ending);
}

async function endAll(pool: Pool): Promise<void> {
  const error = new CancelledError(`${pool.options.name}: the workers are shutting down`);
  for (const request of pool.queue.splice(0)) request.reject(error);
  for (const slot of pool.slots) {
    slot.request?.reject(error);
    drop(pool, slot);
  }
  await Promise.all(pool.endings);
}

function describePool(pool: Pool): PoolStatus {
  return {
    name: pool.options.name,
    size: pool.options.size,
    threads: pool.slots.size,
    busy: [...pool.slots].filter((slot) => slot.request !== undefined).length,
    queued: pool.queue.length,
    restarts: pool.restarts,
    lastAnswerAt: pool.lastAnswerAt,
    lastFault: pool.lastFault,
  };
}
