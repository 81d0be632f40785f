import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { Kysely, Selectable } from "kysely";
import { type Database, newId, type OpenTables, type Tables } from "#base/database/index.ts";
import { redactText } from "#base/errors/index.ts";

type AuditRow = Selectable<OpenTables["audit_entries"]>;

/** What was done, as the one who records it says it; the audit adds number, id, time and hash. */
export type AuditRecord = {
  readonly principal: string | null;
  readonly role: string | null;
  readonly operation: string;
  readonly target: { readonly type: string; readonly id: string } | null;
  readonly outcome: AuditRow["outcome"];
  /** The code of the error, where it was refused or failed. */
  readonly code: string | null;
  readonly requestId: string;
  readonly address: string | null;
};

/** Who did what to which thing, when, with what outcome. */
export type AuditEntry = {
  number: number;
  id: string;
  time: string;
  principal: string | null;
  role: string | null;
  operation: string;
  target: { type: string; id: string } | null;
  outcome: AuditRow["outcome"];
  code: string | null;
  requestId: string;
  address: string | null;
  hash: string;
};

export type AuditFilter = {
  readonly principal?: string | undefined;
  readonly operation?: string | undefined;
  readonly outcome?: AuditRow["outcome"] | undefined;
  /** Id of the thing that was acted on, or of what it lies in. */
  readonly target?: string | undefined;
  /** Entries with a number below this one. */
  readonly before?: number | undefined;
  readonly limit: number;
};

/** The state of the chain: intact up to its head, or broken at the first entry that does not follow from those before. */
export type AuditVerdict = {
  intact: boolean;
  checked: number;
  head: { number: number; hash: string } | null;
  broken: { number: number; reason: string } | null;
};

export type Audit = {
  /** Adds an entry in the transaction of the effect that it tells of. */
  append(tables: Kysely<Tables>, record: AuditRecord): Promise<void>;
  /** Newest first. */
  list(filter: AuditFilter): Promise<AuditEntry[]>;
  /**
   * Follows the chain from its first entry. `anchor`, a head that was noted outside, shows whether everything up to it was
   * written anew: a chain alone cannot tell that.
   */
  verify(anchor?: { number: number; hash: string }): Promise<AuditVerdict>;
};

/** What the first entry follows. */
const chainStart = "candor-audit";

/** Entries read at once while verifying. */
const pageSize = 1000;

/** The audit of all actions: each entry holds a hash over itself and the entry before (a hash chain), so an edit or a gap shows. */
export function createAudit(database: Database): Audit {
  return {
    append,
    list: async (filter) => {
      let query = database.read.selectFrom("audit_entries").selectAll();
      for (const [column, value] of [
        ["principal", filter.principal],
        ["operation", filter.operation],
        ["outcome", filter.outcome],
      ] as const)
        if (value !== undefined) query = query.where(column, "=", value);
      const { target } = filter;
      if (target !== undefined)
        query = query.where((is) =>
          is.or([
            is("target_id", "=", target),
            // What follows `/` in the order of characters is `0`.
            is.and([is("target_id", ">", `${target}/`), is("target_id", "<", `${target}0`)]),
          ]),
        );
      if (filter.before !== undefined) query = query.where("number", "<", filter.before);
      const rows = await query.orderBy("number", "desc").limit(filter.limit).execute();
      return rows.map(fromRow);
    },
    verify: (anchor) => verify(database, anchor),
  };
}

async function append(tables: Kysely<Tables>, record: AuditRecord): Promise<void> {
  const last = await tables
    .selectFrom("audit_entries")
    .select(["number", "hash"])
    .orderBy("number", "desc")
    .limit(1)
    .executeTakeFirst();
  const entry = {
    number: (last?.number ?? 0) + 1,
    id: newId("aud"),
    time: Date.now(),
    principal: record.principal,
    role: record.role,
    operation: record.operation,
    target_type: record.target?.type ?? null,
    target_id: record.target ? redactText(record.target.id.toWellFormed()) : null,
    outcome: record.outcome,
    code: record.code,
    request_id: record.requestId,
    address: record.address,
  };
  await tables
    .insertInto("audit_entries")
    .values({ ...entry, hash: hashOf(entry, last?.hash ?? chainStart) })
    .execute();
}

/** The hash over the entry before and every column of this one, in the order in which they stand here. */
function hashOf(entry: Omit<AuditRow, "hash">, previous: string): string {
  const content = [
    previous,
    entry.number,
    entry.id,
    entry.time,
    entry.principal,
    entry.role,
    entry.operation,
    entry.target_type,
    entry.target_id,
    entry.outcome,
    entry.code,
    entry.request_id,
    entry.address,
  ];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}

async function verify(
  database: Database,
  anchor: { number: number; hash: string } | undefined,
): Promise<AuditVerdict> {
  let checked = 0;
  const head = { number: 0, hash: chainStart };
  const verdict = (broken: AuditVerdict["broken"]): AuditVerdict => ({
    intact: broken === null,
    checked,
    head: head.number === 0 ? null : { ...head },
    broken,
  });
  const broken = (number: number, reason: string) => verdict({ number, reason });
  // Asked before the entries are read: those that are added meanwhile are not missing.
  const newest = Math.max(anchor?.number ?? 0, await highestEver(database));
  for (;;) {
    const rows = await database.read
      .selectFrom("audit_entries")
      .selectAll()
      .where("number", ">", head.number)
      .orderBy("number")
      .limit(pageSize)
      .execute();
    for (const row of rows) {
      const expected = head.number + 1;
      if (row.number !== expected) return broken(expected, "the entry is missing");
      if (row.hash !== hashOf(row, head.hash))
        return broken(row.number, "the entry, or the one before it, was changed");
      if (anchor?.number === row.number && anchor.hash !== row.hash)
        return broken(row.number, "the hash is not the one that was noted for it");
      Object.assign(head, { number: row.number, hash: row.hash });
      checked += 1;
    }
    if (rows.length < pageSize) break;
    // The database answers without leaving the turn, so that a long chain would hold up all other requests.
    await setImmediate();
  }
  if (newest > head.number) return broken(head.number + 1, "the entry is missing from the end");
  return verdict(null);
}

/** The highest number that was ever given away; the database counts it apart from the entries. */
async function highestEver(database: Database): Promise<number> {
  const row = await database.read
    .selectFrom("sqlite_sequence")
    .select("seq")
    .where("name", "=", "audit_entries")
    .executeTakeFirst();
  return row?.seq ?? 0;
}

function fromRow(row: AuditRow): AuditEntry {
  const { target_type: type, target_id: id } = row;
  return {
    number: row.number,
    id: row.id,
    time: new Date(row.time).toISOString(),
    principal: row.principal,
    role: row.role,
    operation: row.operation,
    target: type === null || id === null ? null : { type, id },
    outcome: row.outcome,
    code: row.code,
    requestId: row.request_id,
    address: row.address,
    hash: row.hash,
  };
}
