import { type SelectQueryBuilder, sql } from "kysely";
import type { Database, Tables } from "#base/database/index.ts";
import { errorCatalogue } from "#base/errors/index.ts";

export const activityKinds = ["job", "action", "error"] as const;
export type ActivityKind = (typeof activityKinds)[number];

/** One thing that happened, whatever kept it. */
export type Activity = {
  id: string;
  kind: ActivityKind;
  /** When it happened; for a job when it was asked for. */
  at: string;
  title: string;
  actor: string | null;
  target: { type: string; id: string } | null;
  /** A job's state, an action's outcome, an error's code. */
  outcome: string;
  links: {
    job: string | null;
    audit: string | null;
    ledger: string | null;
    request: string | null;
  };
};

/** Whose activity is listed: everybody's, or that of one principal, who owns jobs as `owner`. */
export type ActivityOf = { readonly principal: string; readonly owner: string } | "anybody";

/** Where a page begins: behind this moment and, among those of the same one, this id. */
export type ActivityPosition = { readonly at: number; readonly id: string };

type Page = {
  readonly kind?: ActivityKind | undefined;
  readonly after: ActivityPosition | null;
  readonly limit: number;
};

/** Jobs, audited actions and recorded errors as one list, newest first. */
export async function listActivity(
  database: Database,
  whose: ActivityOf,
  { kind, after, limit }: Page,
): Promise<Activity[]> {
  const lists = { job: listJobs, action: listActions, error: listErrors };
  const found: Activity[] = [];
  for (const each of activityKinds)
    if (kind === undefined || kind === each)
      found.push(...(await lists[each](database, whose, after, limit)));
  return found.toSorted(newestFirst).slice(0, limit);
}

function newestFirst(one: Activity, other: Activity): number {
  return Date.parse(other.at) - Date.parse(one.at) || (one.id < other.id ? 1 : -1);
}

/** The page of a table, by its time and id. */
function pageOf<Table extends keyof Tables, Row>(
  query: SelectQueryBuilder<Tables, Table, Row>,
  time: string,
  after: ActivityPosition | null,
  limit: number,
): SelectQueryBuilder<Tables, Table, Row> {
  const from =
    after === null
      ? query
      : query.where(sql<boolean>`(${sql.ref(time)}, id) < (${after.at}, ${after.id})`);
  return from.orderBy(sql.ref(time), "desc").orderBy(sql.ref("id"), "desc").limit(limit);
}

async function listJobs(
  database: Database,
  whose: ActivityOf,
  after: ActivityPosition | null,
  limit: number,
): Promise<Activity[]> {
  let query = database.unscoped
    .selectFrom("jobs")
    .select(["id", "kind", "state", "owner", "target_type", "target_id", "created_at"]);
  if (whose !== "anybody") query = query.where("owner", "=", whose.owner);
  const rows = await pageOf(query, "created_at", after, limit).execute();
  return rows.map((row) => ({
    id: row.id,
    kind: "job",
    at: new Date(row.created_at).toISOString(),
    title: row.kind,
    actor: row.owner,
    target: { type: row.target_type, id: row.target_id },
    outcome: row.state,
    links: { job: row.id, audit: null, ledger: null, request: null },
  }));
}

async function listActions(
  database: Database,
  whose: ActivityOf,
  after: ActivityPosition | null,
  limit: number,
): Promise<Activity[]> {
  let query = database.unscoped
    .selectFrom("audit_entries")
    .select([
      "id",
      "time",
      "principal",
      "operation",
      "outcome",
      "target_type",
      "target_id",
      "request_id",
    ]);
  // To its caller what was refused looked as if it were not there: a list that has it would tell that it is.
  if (whose !== "anybody")
    query = query.where("principal", "=", whose.principal).where("outcome", "!=", "refused");
  const rows = await pageOf(query, "time", after, limit).execute();
  return rows.map(({ target_type: type, target_id: id, ...row }) => ({
    id: row.id,
    kind: "action",
    at: new Date(row.time).toISOString(),
    title: row.operation,
    actor: row.principal,
    target: type === null || id === null ? null : { type, id },
    outcome: row.outcome,
    links: { job: null, audit: row.id, ledger: null, request: row.request_id },
  }));
}

async function listErrors(
  database: Database,
  whose: ActivityOf,
  after: ActivityPosition | null,
  limit: number,
): Promise<Activity[]> {
  let query = database.unscoped
    .selectFrom("ledger_entries")
    .select(["id", "time", "principal", "code", "job_id", "operation", "correlation_id"]);
  // The same as with actions: the ledger knows of refusals that their caller was not told of.
  if (whose !== "anybody")
    query = query.where("principal", "=", whose.principal).where("code", "!=", "permission_denied");
  const rows = await pageOf(query, "time", after, limit).execute();
  return rows.map((row) => ({
    id: row.id,
    kind: "error",
    at: new Date(row.time).toISOString(),
    // The message may name what others own; the title of the code names nothing.
    title: errorCatalogue.get(row.code)?.title ?? row.code,
    actor: row.principal,
    target: row.operation === null ? null : { type: "operation", id: row.operation },
    outcome: row.code,
    links: { job: row.job_id, audit: null, ledger: row.id, request: row.correlation_id },
  }));
}
