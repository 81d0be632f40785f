import { randomBytes } from "node:crypto";
import type { Database, OpenTables } from "#base/database/index.ts";
import {
  DatabaseIntegrityError,
  DatabaseQueryError,
  NotFoundError,
  redactText,
  type Severity,
  UncleanStopError,
} from "#base/errors/index.ts";
import {
  currentContext,
  type Logger,
  withContext,
  type WorkContext,
} from "#base/telemetry/index.ts";
import { fromLedgerRow, type LedgerContext, type LedgerEntry, toLedgerRow } from "./entry.ts";
import { exportRunFile, renderRunReport, toRunLedger, type RunLedger } from "./export-run.ts";
import { createKeeper, insertEntry } from "./keep-entry.ts";
import { clearFallback, readFallback } from "./fallback-file.ts";

export type LedgerFilter = {
  readonly run?: string | undefined;
  readonly severity?: string | undefined;
  readonly category?: string | undefined;
  readonly code?: string | undefined;
  readonly fingerprint?: string | undefined;
  readonly job?: string | undefined;
  readonly resolved?: boolean | undefined;
  /** Entries with an id above this one. */
  readonly after?: string | undefined;
  readonly limit: number;
};

export type GroupFilter = {
  readonly resolved?: boolean | undefined;
  /** Groups whose latest entry has an id below this one. */
  readonly before?: string | undefined;
  readonly limit: number;
};

export type LedgerGroup = {
  fingerprint: string;
  code: string;
  message: string;
  severity: string;
  count: number;
  firstSeen: string;
  lastSeen: string;
  resolved: boolean;
  regressed: boolean;
  latest: string;
};

export type Ledger = {
  readonly runId: string;
  /** Keeps `thrown` with its context and returns its id once it is durable. Never throws: a failure shows in `health`. */
  record(thrown: unknown, context?: LedgerContext): Promise<string>;
  list(filter: LedgerFilter): Promise<LedgerEntry[]>;
  get(id: string): Promise<LedgerEntry>;
  groups(filter: GroupFilter): Promise<LedgerGroup[]>;
  resolve(id: string, by: string, notes: string, scope: "entry" | "group"): Promise<LedgerEntry>;
  run(id: string): Promise<RunLedger>;
  report(id: string): Promise<string>;
  health(): { state: "ok" | "degraded"; detail: string };
  /** What this process has recorded, by severity, and what of it is not in the database. */
  statistics(): LedgerFigures;
  /** Ends the run: marks it clean and exports its file. A database that takes no writes leaves it to the next start. */
  end(): Promise<void>;
};

/** Entries made, those that wait in memory or in the file beside the database, and those that nothing would take. */
export type LedgerFigures = {
  readonly made: Readonly<Record<Severity, number>>;
  readonly inMemory: number;
  readonly inFile: number;
  readonly lost: number;
};

export type LedgerOptions = {
  database: Database;
  logger: Logger;
  artifacts: string;
  facts: { version: string; environment: string };
};

/** Opens the ledger of a new run: exports the runs that died before, takes in entries that waited outside the database. */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  const { database, logger, artifacts, facts } = options;
  const run: OpenTables["runs"] = {
    id: newRunId(),
    started_at: Date.now(),
    ended_at: null,
    exported: 0,
    version: facts.version,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    environment: facts.environment,
  };
  await database.write(({ tables }) => tables.insertInto("runs").values(run).execute());
  const keeper = createKeeper({ database, logger, artifacts });
  const queries = ledgerQueries(database);
  const made: Record<Severity, number> = { critical: 0, high: 0, medium: 0, low: 0, info: 0 };
  const ledger: Ledger = {
    runId: run.id,
    record: async (thrown, context = {}) => {
      const row = toLedgerRow(thrown, { ...courseOf(currentContext()), ...context }, run.id);
      made[row.severity as Severity] += 1;
      logEntry(logger, row);
      await keeper.keep(row);
      return row.id;
    },
    ...queries,
    statistics: () => ({ made: { ...made }, ...keeper.statistics() }),
    health: () => keeper.health() ?? { state: "ok", detail: `run ${run.id}` },
    end: async () => {
      run.ended_at = Date.now();
      try {
        await keeper.keepWaiting();
        await setRun(database, run.id, { ended_at: run.ended_at });
        await exportRunFile(database, artifacts, run);
        await setRun(database, run.id, { exported: 1 });
      } catch (thrown) {
        // The process ends all the same; the next start finds the run without its mark and exports it.
        logger.failure(thrown, { run: run.id });
      }
    },
  };
  await takeInFallback(database, artifacts, logger);
  await exportLeftRuns(database, artifacts, run.id, ledger);
  return ledger;
}

async function setRun(
  database: Database,
  id: string,
  change: { ended_at?: number; exported?: number },
): Promise<void> {
  await database.write(({ tables }) =>
    tables.updateTable("runs").set(change).where("id", "=", id).execute(),
  );
}

function logEntry(logger: Logger, row: OpenTables["ledger_entries"]): void {
  const level = { critical: "fatal", high: "error", medium: "warn", low: "info", info: "info" }[
    row.severity
  ] as "fatal" | "error" | "warn" | "info";
  const fields = { ledgerId: row.id, code: row.code, item: row.item, operation: row.operation };
  withContext(
    {
      ...(row.correlation_id === null ? {} : { requestId: row.correlation_id }),
      ...(row.job_id === null ? {} : { jobId: row.job_id }),
      ...(row.principal === null ? {} : { principal: row.principal }),
    },
    () => logger[level](fields, row.message),
  );
}

/** In whose course an error was recorded, where whoever recorded it does not say. */
function courseOf({ requestId, jobId, principal }: WorkContext): LedgerContext {
  return {
    ...(requestId === undefined ? {} : { correlationId: requestId }),
    ...(jobId === undefined ? {} : { jobId }),
    ...(principal === undefined ? {} : { principal }),
  };
}

/** Takes the waiting entries in; the files of their runs are written again. A line that is no entry is set aside. */
async function takeInFallback(
  database: Database,
  artifacts: string,
  logger: Logger,
): Promise<void> {
  const { rows, torn } = await readFallback(artifacts);
  let refused = torn;
  for (const row of rows) {
    try {
      await insertEntry(database, row);
      await setRun(database, row.run_id, { exported: 0 });
    } catch (thrown) {
      if (!(thrown instanceof DatabaseIntegrityError || thrown instanceof DatabaseQueryError))
        throw thrown;
      logger.failure(thrown, { part: "ledger fallback" });
      refused += 1;
    }
  }
  if (refused > 0)
    logger.error({ lines: refused }, "lines of the ledger's fallback file are no entries");
  if (rows.length > 0 || torn > 0) await clearFallback(artifacts, refused);
}

/** Runs without their file get it; those without an end died, and an entry says so. */
async function exportLeftRuns(
  database: Database,
  artifacts: string,
  current: string,
  ledger: Ledger,
): Promise<void> {
  const left = await database.read
    .selectFrom("runs")
    .selectAll()
    .where("exported", "=", 0)
    .where("id", "!=", current)
    .execute();
  for (const run of left) {
    if (run.ended_at === null)
      await ledger.record(new UncleanStopError(`Run ${run.id} ended without stopping cleanly.`), {
        facts: { run: run.id, startedAt: run.started_at },
      });
    await exportRunFile(database, artifacts, run);
    await setRun(database, run.id, { exported: 1 });
  }
}

/** `YYYYMMDD_HHMMSS_<8 hex>` in UTC. */
function newRunId(): string {
  const [date, time] = new Date().toISOString().split("T");
  return `${date?.replaceAll("-", "")}_${time?.slice(0, 8).replaceAll(":", "")}_${randomBytes(4).toString("hex")}`;
}

type Queries = Pick<Ledger, "list" | "get" | "groups" | "resolve" | "run" | "report">;

function ledgerQueries(database: Database): Queries {
  const run = async (id: string): Promise<RunLedger> => {
    const row = await database.read
      .selectFrom("runs")
      .selectAll()
      .where("id", "=", id)
      .executeTakeFirst();
    if (!row)
      throw new NotFoundError(
        `There is no run "${id}". \`ledger list\` names the runs of its entries.`,
      );
    const rows = await database.read
      .selectFrom("ledger_entries")
      .selectAll()
      .where("run_id", "=", id)
      .orderBy("time")
      .orderBy("id")
      .execute();
    return toRunLedger(row, rows);
  };
  const get = async (id: string): Promise<LedgerEntry> => {
    const row = await database.read
      .selectFrom("ledger_entries")
      .selectAll()
      .where("id", "=", id)
      .executeTakeFirst();
    if (!row) throw new NotFoundError(`There is no ledger entry "${id}".`);
    return fromLedgerRow(row);
  };
  return {
    run,
    get,
    report: async (id) => renderRunReport(await run(id)),
    list: (filter) => listEntries(database, filter),
    groups: (filter) => listGroups(database, filter),
    resolve: async (id, by, notes, scope) =>
      resolveEntries(database, await get(id), { by, notes, scope }),
  };
}

/** Marks an entry, or all of its group, as resolved; returns the entry as it is then. */
function resolveEntries(
  database: Database,
  { id, fingerprint }: LedgerEntry,
  { by, notes, scope }: { by: string; notes: string; scope: "entry" | "group" },
): Promise<LedgerEntry> {
  return database.write(async ({ tables, answer }) => {
    await tables
      .updateTable("ledger_entries")
      .set({
        resolved: 1,
        resolved_by: by,
        resolved_at: Date.now(),
        resolution_notes: redactText(notes),
      })
      .where((is) => (scope === "entry" ? is("id", "=", id) : is("fingerprint", "=", fingerprint)))
      .execute();
    const row = await tables
      .selectFrom("ledger_entries")
      .selectAll()
      .where("id", "=", id)
      .executeTakeFirstOrThrow();
    return answer(fromLedgerRow(row));
  });
}

async function listEntries(database: Database, filter: LedgerFilter): Promise<LedgerEntry[]> {
  let query = database.read.selectFrom("ledger_entries").selectAll();
  if (filter.run !== undefined) query = query.where("run_id", "=", filter.run);
  if (filter.severity !== undefined) query = query.where("severity", "=", filter.severity);
  if (filter.category !== undefined) query = query.where("category", "=", filter.category);
  if (filter.code !== undefined) query = query.where("code", "=", filter.code);
  if (filter.fingerprint !== undefined) query = query.where("fingerprint", "=", filter.fingerprint);
  if (filter.job !== undefined) query = query.where("job_id", "=", filter.job);
  if (filter.resolved !== undefined) query = query.where("resolved", "=", filter.resolved ? 1 : 0);
  if (filter.after !== undefined) query = query.where("id", ">", filter.after);
  const rows = await query.orderBy("id").limit(filter.limit).execute();
  return rows.map(fromLedgerRow);
}

async function listGroups(database: Database, filter: GroupFilter): Promise<LedgerGroup[]> {
  let query = database.read
    .selectFrom("ledger_entries")
    .select(({ fn }) => [
      "fingerprint",
      fn.countAll<number>().as("count"),
      fn.min("time").as("first_seen"),
      fn.max("time").as("last_seen"),
      fn.min("resolved").as("all_resolved"),
      fn.max("regressed").as("regressed"),
      fn.max("id").as("latest"),
    ])
    .groupBy("fingerprint");
  if (filter.resolved !== undefined)
    query = query.having(({ fn }) => fn.min("resolved"), "=", filter.resolved ? 1 : 0);
  if (filter.before !== undefined)
    query = query.having(({ fn }) => fn.max("id"), "<", filter.before);
  const groups = await query.orderBy("latest", "desc").limit(filter.limit).execute();
  const found: LedgerGroup[] = [];
  for (const group of groups) {
    const latest = await database.read
      .selectFrom("ledger_entries")
      .select(["code", "message", "severity"])
      .where("id", "=", group.latest)
      .executeTakeFirstOrThrow();
    found.push({
      fingerprint: group.fingerprint,
      code: latest.code,
      message: latest.message,
      severity: latest.severity,
      count: Number(group.count),
      firstSeen: new Date(Number(group.first_seen)).toISOString(),
      lastSeen: new Date(Number(group.last_seen)).toISOString(),
      resolved: Number(group.all_resolved) === 1,
      regressed: Number(group.regressed) === 1,
      latest: group.latest,
    });
  }
  return found;
}
