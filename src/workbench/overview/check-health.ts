import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { findRuntimeFault } from "#base/database/index.ts";
import { type DataDirectory, diskSpace, writeAtomically } from "#base/files/index.ts";
import type { Jobs } from "#base/jobs/index.ts";
import type { OverviewDependencies } from "./create-overview.ts";
import type { Finding, HealthProbe } from "./measure-health.ts";
import { probeDefaultSpace, probeSearch, probeWorkers } from "./probe-models.ts";

/** Free bytes under which syncs begin to fail soon, and under which the database cannot be counted on. */
const degradedBelowBytes = 500_000_000;
const failedBelowBytes = 50_000_000;

/** Longest wait for a part of this process or its disk, and for a model that may have to be opened first. */
const nearLimitMs = 5_000;
const modelLimitMs = 15_000;

/** The probes of every part that exists, in the order in which they are shown. */
export function healthProbes(dependencies: OverviewDependencies): HealthProbe[] {
  const { directory, state, models, telemetry } = dependencies;
  const near = (name: string, probe: () => Promise<Finding>): HealthProbe => ({
    name,
    limitMs: nearLimitMs,
    whenLate: "failed",
    probe,
  });
  return [
    near("node", async () => checkNode()),
    near("configuration", async () => checkConfiguration(dependencies)),
    near("dataDirectory", () => checkDataDirectory(directory)),
    near("disk", async () => judgeDisk((await diskSpace(directory.home)).freeBytes)),
    near("database", () => checkDatabase(state)),
    near("ledger", async () => checkLedger(state)),
    near("jobs", () => checkJobs(state.jobs)),
    near("logFile", async () => checkLogFile(dependencies, telemetry.logger.faults())),
    {
      name: "defaultSpace",
      limitMs: modelLimitMs,
      whenLate: "unknown",
      probe: (signal) => probeDefaultSpace(models.embeddings, signal),
    },
    {
      name: "search",
      limitMs: modelLimitMs,
      whenLate: "unknown",
      probe: (signal) => probeSearch(models.search, signal),
    },
    near("workers", async () => probeWorkers(models.workers)),
  ];
}

function checkNode(): Finding {
  const { node, sqlite = "unknown" } = process.versions;
  const fault = findRuntimeFault({ node, sqlite });
  if (fault === null) return { state: "ok", detail: `Node ${node} with SQLite ${sqlite}` };
  return {
    state: "failed",
    detail: fault,
    nextStep: { text: "Run Candor with Node 24.15 or newer." },
  };
}

/** Faults refuse the start, so these are warnings: worth a line, no reason to call the system degraded. */
function checkConfiguration({ configuration }: OverviewDependencies): Finding {
  const { faults, generation } = configuration;
  const warnings = faults.map(({ message }) => message).join(" ");
  return {
    state: "ok",
    detail: `generation ${generation}, ${faults.length} warnings${warnings === "" ? "" : `: ${warnings}`}`,
  };
}

/** Writes a small file durably and removes it. */
async function checkDataDirectory({ home, run }: DataDirectory): Promise<Finding> {
  const path = join(run, `health-${randomUUID()}`);
  await writeAtomically(path, "health");
  await rm(path);
  return { state: "ok", detail: `${home} can be written` };
}

export function judgeDisk(freeBytes: number): Finding {
  const detail = `${Math.floor(freeBytes / 1e6)} MB free`;
  if (freeBytes >= degradedBelowBytes) return { state: "ok", detail };
  return {
    state: freeBytes < failedBelowBytes ? "failed" : "degraded",
    detail: `${detail}; below ${degradedBelowBytes / 1e6} MB work may soon stop, below ${failedBelowBytes / 1e6} MB it cannot be counted on`,
    nextStep: { text: "Free some space on the disk of the data directory." },
  };
}

/** A read, and a write of this run's own row that is durable before it is answered. */
async function checkDatabase({
  database,
  ledger,
}: OverviewDependencies["state"]): Promise<Finding> {
  const { state, reason, version, schemaVersion } = database.health();
  const facts = `SQLite ${version}, schema ${schemaVersion}`;
  await database.read.selectFrom("runs").select("id").where("id", "=", ledger.runId).execute();
  if (state === "read_only")
    return {
      state: "failed",
      detail: `${facts}; takes no more writes: ${reason}`,
      nextStep: { text: "Check the disk and restart; reads go on meanwhile." },
    };
  const { numUpdatedRows } = await database.write(({ tables }) =>
    tables
      .updateTable("runs")
      .set({ ended_at: null })
      .where("id", "=", ledger.runId)
      .where("ended_at", "is", null)
      .executeTakeFirst(),
  );
  return numUpdatedRows === 1n
    ? { state: "ok", detail: `${facts}; a write was made durable` }
    : { state: "failed", detail: `${facts}; this run has ended or its row is gone` };
}

function checkLedger({ ledger }: OverviewDependencies["state"]): Finding {
  const { state, detail } = ledger.health();
  return { state, detail };
}

/** Jobs that died with the process too often wait for somebody to look at them. */
async function checkJobs(jobs: Jobs): Promise<Finding> {
  const { queued, running } = jobs.counts();
  const waiting = await jobs.list({ state: "interrupted", limit: 100 }, { owner: "anybody" });
  const detail = `${running} running, ${queued} queued`;
  if (waiting.length === 0) return { state: "ok", detail };
  return {
    state: "degraded",
    detail: `${detail}, ${waiting.length}${waiting.length === 100 ? " or more" : ""} interrupted`,
    nextStep: {
      text: "See `candor jobs --state interrupted`, then resume or cancel them.",
      operation: "jobs.list",
      input: { state: "interrupted" },
    },
  };
}

function checkLogFile(
  { configuration }: OverviewDependencies,
  faults: { count: number; linesLost: number; failing: boolean; last: { message: string } | null },
): Finding {
  const { file } = configuration.config.logging;
  const lost = `${faults.linesLost} lines lost${faults.last ? `; last fault: ${faults.last.message}` : ""}`;
  if (faults.failing)
    return {
      state: "degraded",
      detail: `the log file cannot be written: ${lost}`,
      nextStep: { text: "Check space and permissions of `logs/` in the data directory." },
    };
  if (!file) return { state: "ok", detail: "no log file is kept (logging.file is off)" };
  return {
    state: "ok",
    detail: faults.count === 0 ? "every line was written" : `${faults.count} faults, ${lost}`,
  };
}
