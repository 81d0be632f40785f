import { join } from "node:path";
import type { Database, OpenTables } from "#base/database/index.ts";
import { writeAtomically } from "#base/files/index.ts";
import { fromLedgerRow, type LedgerEntry, type LedgerRow } from "./entry.ts";

export type LedgerStatistics = {
  totalErrors: number;
  bySeverity: Record<string, number>;
  byCategory: Record<string, number>;
  resolvedCount: number;
};

export type RunLedger = {
  metadata: {
    runId: string;
    startedAt: string;
    endedAt: string | null;
    platform: string;
    runtime: string;
    environment: string;
  };
  errors: LedgerEntry[];
  statistics: LedgerStatistics;
};

type RunRow = OpenTables["runs"];

/** Counted from the entries, never kept apart. */
function countStatistics(entries: readonly LedgerEntry[]): LedgerStatistics {
  const bySeverity: Record<string, number> = {};
  const byCategory: Record<string, number> = {};
  for (const entry of entries) {
    bySeverity[entry.severity] = (bySeverity[entry.severity] ?? 0) + 1;
    byCategory[entry.category] = (byCategory[entry.category] ?? 0) + 1;
  }
  const resolvedCount = entries.filter((entry) => entry.resolved).length;
  return { totalErrors: entries.length, bySeverity, byCategory, resolvedCount };
}

export function toRunLedger(run: RunRow, rows: readonly LedgerRow[]): RunLedger {
  const errors = rows.map(fromLedgerRow);
  return {
    metadata: {
      runId: run.id,
      startedAt: new Date(run.started_at).toISOString(),
      endedAt: run.ended_at === null ? null : new Date(run.ended_at).toISOString(),
      platform: run.platform,
      runtime: `node ${run.node}, candor ${run.version}`,
      environment: run.environment,
    },
    errors,
    statistics: countStatistics(errors),
  };
}

/** Writes `artifacts/error-ledger-<run_id>.json` in the shape of the product's requirements ERR-07 and ERR-08, atomically. */
export async function exportRunFile(
  database: Database,
  artifacts: string,
  run: RunRow,
): Promise<string> {
  const rows = await database.read
    .selectFrom("ledger_entries")
    .selectAll()
    .where("run_id", "=", run.id)
    .orderBy("time")
    .orderBy("id")
    .execute();
  const path = join(artifacts, `error-ledger-${run.id}.json`);
  const ledger = toRunLedger(run, rows);
  const artifact = {
    metadata: {
      run_id: ledger.metadata.runId,
      started_at: ledger.metadata.startedAt,
      ended_at: ledger.metadata.endedAt,
      platform: ledger.metadata.platform,
      runtime: ledger.metadata.runtime,
      environment: ledger.metadata.environment,
    },
    errors: ledger.errors.map(toArtifactEntry),
    statistics: {
      total_errors: ledger.statistics.totalErrors,
      by_severity: ledger.statistics.bySeverity,
      by_category: ledger.statistics.byCategory,
      resolved_count: ledger.statistics.resolvedCount,
    },
  };
  await writeAtomically(path, `${JSON.stringify(artifact, null, 2)}\n`);
  return path;
}

function toArtifactEntry(entry: LedgerEntry) {
  return {
    error_id: entry.id,
    timestamp: entry.time,
    severity: entry.severity,
    category: entry.category,
    error_code: entry.code,
    error_type: entry.type,
    error_message: entry.message,
    stack_trace: entry.stack,
    context: entry.context,
    item: entry.item,
    job_id: entry.jobId,
    correlation_id: entry.correlationId,
    user_id: entry.principal,
    operation: entry.operation,
    endpoint: entry.endpoint,
    method: entry.method,
    source_file: entry.source?.file ?? null,
    source_line: entry.source?.line ?? null,
    unexpected: entry.unexpected,
    fingerprint: entry.fingerprint,
    resolved: entry.resolved,
    resolution_notes: entry.resolution?.notes ?? null,
  };
}

/** The plain-text report of one run, for a terminal. */
export function renderRunReport(ledger: RunLedger): string {
  const { metadata, statistics } = ledger;
  const counts = (record: Record<string, number>) =>
    Object.entries(record)
      .map(([name, count]) => `${name} ${count}`)
      .join(", ") || "none";
  const lines = [
    `Error ledger of run ${metadata.runId}`,
    `started ${metadata.startedAt}, ${metadata.endedAt === null ? "not ended" : `ended ${metadata.endedAt}`}; ${metadata.runtime} on ${metadata.platform} (${metadata.environment})`,
    `${statistics.totalErrors} errors, ${statistics.resolvedCount} resolved; by severity: ${counts(statistics.bySeverity)}; by category: ${counts(statistics.byCategory)}`,
    "",
  ];
  for (const entry of ledger.errors) {
    const where = entry.item ?? entry.endpoint ?? entry.operation ?? "";
    lines.push(
      `${entry.time}  ${entry.severity.padEnd(8)} ${entry.code}  ${where}`,
      `    ${entry.message.replaceAll("\n", " ")}`,
      `    ${entry.id}${entry.resolved ? "  resolved" : ""}`,
    );
  }
  return `${lines.join("\n")}\n`;
}
