import { parentPort, type Transferable, workerData } from "node:worker_threads";
import { DefectError, flattenError } from "#base/errors/index.ts";
import type { TaskCall, TaskReply, TaskStart } from "./task-protocol.ts";

/** What a task can do, by method name: takes the payload, gives the answer (both cross the thread by structured clone). */
export type TaskHandlers = Readonly<Record<string, (payload: never) => unknown>>;

/** An answer whose buffers move to the caller instead of being copied. */
class TransferredAnswer {
  readonly value: unknown;
  readonly transfer: readonly Transferable[];

  constructor(value: unknown, transfer: readonly Transferable[]) {
    this.value = value;
    this.transfer = transfer;
  }
}

/** Marks the buffers of `value` that shall move to the caller; this thread cannot use them afterwards. */
export function withTransfer(value: unknown, transfer: readonly Transferable[]): unknown {
  return new TransferredAnswer(value, transfer);
}

/**
 * The body of a task module: `open` gets the pool's `openData` and gives the handlers. What `open` or a handler throws
 * is raised on the calling side: catalogue errors as they are, anything else as a defect with the value described.
 * Calls come one at a time. Throws `DefectError` outside a worker thread.
 */
export function serveTask<OpenData>(task: {
  open(openData: OpenData): TaskHandlers | Promise<TaskHandlers>;
}): void {
  const port = parentPort;
  if (port === null) throw new DefectError("a task module runs only in a worker thread");
  const reply = (message: TaskReply, transfer: readonly Transferable[] = []): void =>
    port.postMessage(message, transfer);

  const answer = async (handlers: TaskHandlers, call: TaskCall): Promise<void> => {
    try {
      const value = await findHandler(handlers, call.method)(call.payload as never);
      if (value instanceof TransferredAnswer)
        reply({ kind: "answer", id: call.id, value: value.value }, value.transfer);
      else reply({ kind: "answer", id: call.id, value });
    } catch (thrown) {
      reply({ kind: "failure", id: call.id, error: flattenError(thrown) });
    }
  };

  const start = async (): Promise<void> => {
    try {
      const handlers = await task.open((workerData as TaskStart).openData as OpenData);
      port.on("message", (call: TaskCall) => void answer(handlers, call));
      reply({ kind: "ready" });
    } catch (thrown) {
      reply({ kind: "open_failed", error: flattenError(thrown) });
    }
  };
  void start();
}

function findHandler(handlers: TaskHandlers, method: string): (payload: never) => unknown {
  const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
  if (handler === undefined)
    throw new DefectError(
      `the task has no method "${method}"; it has ${Object.keys(handlers).join(", ")}`,
    );
  return handler;
}
