import { type Transferable, Worker } from "node:worker_threads";
import {
  type CandorError,
  DefectError,
  OutOfMemoryError,
  reviveError,
  toCandorError,
  WorkerCrashedError,
} from "#base/errors/index.ts";
import { guardMemory, lastResortMegabytes } from "./guard-memory.ts";
import type { TaskCall, TaskReply } from "./task-protocol.ts";

/** Megabytes of the young generation: small, because threads of one process all pay for it. */
const youngGenerationMegabytes = 16;

/** How a thread is started. */
export type ThreadOptions = {
  readonly name: string;
  readonly task: URL;
  readonly memoryMegabytes: number;
  readonly openData: unknown;
};

/** What a thread reports; `onDeath` comes once and only when nobody asked it to end. */
export type ThreadEvents = {
  onReady(): void;
  onOpenFailed(error: CandorError): void;
  onAnswer(id: number, value: unknown): void;
  onFailure(id: number, error: CandorError): void;
  onDeath(error: CandorError): void;
};

export type Thread = {
  /** Throws `DefectError` when the payload cannot be cloned. */
  post(call: TaskCall, transfer: readonly Transferable[]): void;
  /** A busy thread keeps the process alive and has its memory watched; one at rest has neither. */
  setBusy(busy: boolean): void;
  /** Ends the thread wherever it is; may be called twice. */
  end(): Promise<void>;
};

/**
 * Starts one thread. It sees no environment: settings arrive as `openData`. Its memory limit holds for heap and buffers
 * together. Work inside one native call (`JSON.parse` of a huge text) cannot be interrupted: tasks bound their inputs.
 */
export function startThread(options: ThreadOptions, events: ThreadEvents): Thread {
  const worker = new Worker(options.task, {
    name: options.name,
    env: {},
    workerData: { openData: options.openData },
    resourceLimits: {
      maxOldGenerationSizeMb: options.memoryMegabytes + lastResortMegabytes,
      maxYoungGenerationSizeMb: youngGenerationMegabytes,
    },
  });
  let ended = false;
  const die = (error: CandorError): void => {
    guard.stop();
    if (!ended) events.onDeath(error);
    ended = true;
  };
  const guard = guardMemory(worker, options.memoryMegabytes * 2 ** 20, {
    exceeded: (bytes) => die(outOfMemory(options, { bytes })),
    failed: (cause) => die(crashed(options, "its memory cannot be seen", cause)),
  });
  guard.setBusy(true);
  worker.on("message", (message: TaskReply) => {
    if (!ended) report(message, events);
  });
  worker.on("messageerror", (cause) => die(crashed(options, "an answer cannot be read", cause)));
  worker.on("error", (cause: unknown) => {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "ERR_WORKER_OUT_OF_MEMORY") die(outOfMemory(options, { cause }));
    else die(crashed(options, toCandorError(cause).message, cause));
  });
  worker.on("exit", (code) => die(crashed(options, `it ended with exit code ${code}`)));
  return {
    post(call, transfer) {
      try {
        worker.postMessage(call, transfer);
      } catch (cause) {
        throw new DefectError(`${options.name}: the call to "${call.method}" cannot be sent`, {
          cause,
        });
      }
    },
    setBusy(busy) {
      guard.setBusy(busy);
      if (busy) worker.ref();
      else worker.unref();
    },
    async end() {
      ended = true;
      guard.stop();
      await worker.terminate();
    },
  };
}

function report(message: TaskReply, events: ThreadEvents): void {
  switch (message.kind) {
    case "ready":
      return events.onReady();
    case "open_failed":
      return events.onOpenFailed(reviveError(message.error));
    case "answer":
      return events.onAnswer(message.id, message.value);
    case "failure":
      return events.onFailure(message.id, reviveError(message.error));
  }
}

function outOfMemory(
  { name, memoryMegabytes }: ThreadOptions,
  found: { bytes?: number; cause?: unknown },
): CandorError {
  return new OutOfMemoryError(
    `${name}: the thread needed more than its ${memoryMegabytes} MB and was stopped`,
    {
      cause: found.cause,
      details: { limitMegabytes: memoryMegabytes, bytesInUse: found.bytes ?? null },
    },
  );
}

function crashed({ name }: ThreadOptions, reason: string, cause?: unknown): CandorError {
  return new WorkerCrashedError(`${name}: the thread died: ${reason}`, { cause });
}
