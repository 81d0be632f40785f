import { AsyncLocalStorage } from "node:async_hooks";
import type { DatabaseSync } from "node:sqlite";
import { type CandorError, DatabaseReadOnlyError, DefectError } from "#base/errors/index.ts";
import { inSpan, withoutContext } from "#base/telemetry/index.ts";
import type { OnFailure } from "./sqlite-dialect.ts";
import { isDurabilityFault, toDatabaseError } from "./driver-errors.ts";

/** Most writes in one transaction: bounds how long a commit may take and how much one full disk undoes. */
const largestGroup = 256;

type Waiting = {
  /** Runs something in the course of whoever submitted the work: a group serves many requests. */
  inCourse: <T>(something: () => T) => T;
  work: () => Promise<unknown>;
  mayWait: boolean;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
};

/** The work in whose course code runs: a write that waits inside another one would wait for ever. */
const insideWork = new AsyncLocalStorage<{ open: boolean }>();

export type GroupCommit = {
  submit<T>(work: () => Promise<T>): Promise<T>;
  /** The same for work that takes turns with reads: other writes wait until it has ended. */
  submitLong<T>(work: () => Promise<T>): Promise<T>;
  /** Takes no more writes from now on. */
  refuse(reason: string): void;
  readOnlyReason(): string | null;
  /** Transactions so far, the works in them, and those that wait. */
  statistics(): { groups: number; works: number; waiting: number };
  /** Resolves when nothing is waiting or running. */
  idle(): Promise<void>;
};

/**
 * All writes of one tick in one transaction on `connection`: one fsync for many, and no answer before COMMIT returned.
 * An input/output error leaves the store read-only: a page that failed to reach the disk is not tried again, because the
 * kernel may already have dropped it.
 */
export function createGroupCommit(
  connection: DatabaseSync,
  onFault: (error: CandorError) => void,
  onFailure: OnFailure,
): GroupCommit {
  let waiting: Waiting[] = [];
  let running: Promise<void> | null = null;
  let readOnly: string | null = null;
  const counts = { groups: 0, works: 0 };

  const submit = <T>(work: () => Promise<T>, mayWait = false): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      const refusal = refusalOf(readOnly);
      if (refusal !== null) return reject(refusal);
      const inCourse = AsyncLocalStorage.snapshot();
      waiting.push({ inCourse, work, mayWait, resolve: resolve as Waiting["resolve"], reject });
      running ??= withoutContext(drain);
    });

  const drain = async (): Promise<void> => {
    while (waiting.length > 0) {
      await nextTick();
      const group = waiting.slice(0, largestGroup);
      waiting = waiting.slice(largestGroup);
      counts.groups += 1;
      counts.works += group.length;
      await commitGroup(group);
    }
    running = null;
  };

  const commitGroup = async (group: readonly Waiting[]): Promise<void> => {
    const settled: (() => void)[] = [];
    try {
      if (readOnly !== null)
        throw new DatabaseReadOnlyError(`The store takes no more writes: ${readOnly}`);
      connection.exec("begin immediate");
      for (const entry of group) settled.push(await runOne(connection, entry, onFault));
      connection.exec("commit");
    } catch (thrown) {
      onFailure(thrown, "commit");
      const error = toDatabaseError(thrown, connection);
      const stuck = rollBack(connection);
      if (isDurabilityFault(error.cause) || stuck !== null) {
        readOnly ??= stuck ?? error.message;
        onFault(error);
      }
      for (const entry of group) entry.reject(error);
      return;
    }
    for (const settle of settled) settle();
  };

  return {
    submit: (work) => inSpan({ name: "database write" }, () => submit(work)),
    submitLong: (work) => inSpan({ name: "database upkeep" }, () => submit(work, true)),
    refuse: (reason) => void (readOnly ??= reason),
    readOnlyReason: () => readOnly,
    statistics: () => ({ ...counts, waiting: waiting.length }),
    idle: async () => {
      while (running !== null) await running;
    },
  };
}

/** Why nothing can be submitted now, if that is so. */
function refusalOf(readOnly: string | null): CandorError | null {
  if (readOnly !== null)
    return new DatabaseReadOnlyError(`The store takes no more writes: ${readOnly}`);
  return insideWork.getStore()?.open === true
    ? new DefectError("A write was begun inside another write; pass on its handle.")
    : null;
}

/** Undoes the open transaction, if there is one. The reason when it cannot be undone: nothing can be written behind it. */
function rollBack(connection: DatabaseSync): string | null {
  try {
    if (connection.isTransaction) connection.exec("rollback");
    return null;
  } catch (thrown) {
    return `a failed transaction could not be undone: ${toDatabaseError(thrown).message}`;
  }
}

/** Runs one work in its savepoint and returns how to answer it once the group is durable. Rethrows what undid the whole group. */
async function runOne(
  connection: DatabaseSync,
  entry: Waiting,
  onFault: (error: CandorError) => void,
): Promise<() => void> {
  const course = { open: true };
  const watch = entry.inCourse(() =>
    setImmediate(() => {
      if (course.open && !entry.mayWait)
        onFault(
          new DefectError(
            "A write awaited something outside the database while it held the transaction.",
          ),
        );
    }),
  );
  try {
    connection.exec("savepoint work");
    const value = await entry.inCourse(() => insideWork.run(course, entry.work));
    connection.exec("release work");
    return () => entry.resolve(value);
  } catch (thrown) {
    // A full disk or an input/output error has already undone the whole transaction: nothing is left to roll back to.
    if (!connection.isTransaction) throw thrown;
    connection.exec("rollback to work");
    connection.exec("release work");
    if (isDurabilityFault(thrown) || isDurabilityFault(causeOf(thrown))) throw thrown;
    return () => entry.reject(thrown);
  } finally {
    course.open = false;
    clearImmediate(watch);
  }
}

function causeOf(thrown: unknown): unknown {
  return thrown instanceof Error ? thrown.cause : undefined;
}

function nextTick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
