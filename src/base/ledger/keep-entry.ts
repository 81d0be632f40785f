import type { Database } from "#base/database/index.ts";
import type { Logger } from "#base/telemetry/index.ts";
import type { LedgerRow } from "./entry.ts";
import { appendFallback } from "./fallback-file.ts";

/** Entries held in memory while neither the database nor the file takes them; each has about 4 KB. */
const mostWaiting = 1000;

/** Keeps entries: in the database, else in a file beside it, else in memory until one of them takes entries again. */
export type Keeper = {
  /** Never throws. */
  keep(row: LedgerRow): Promise<void>;
  /** Tries those in memory again; those still refused go on waiting. */
  keepWaiting(): Promise<void>;
  /** What is not where it belongs; null when everything is. */
  health(): { state: "degraded"; detail: string } | null;
  statistics(): { inMemory: number; inFile: number; lost: number };
};

export function createKeeper(dependencies: {
  database: Database;
  logger: Logger;
  artifacts: string;
}): Keeper {
  const { database, logger, artifacts } = dependencies;
  const waiting: LedgerRow[] = [];
  const state = { dropped: 0, inFallback: 0 };
  const keepWaiting = async (): Promise<void> => {
    for (let row = waiting.shift(); row; row = waiting.shift()) {
      try {
        await insertEntry(database, row);
      } catch (refused) {
        waiting.unshift(row);
        logger.failure(refused, { ledgerId: row.id });
        return;
      }
    }
  };
  const keepOutside = async (row: LedgerRow, refused: unknown): Promise<void> => {
    try {
      await appendFallback(artifacts, row);
      state.inFallback += 1;
    } catch (lost) {
      if (waiting.length < mostWaiting) waiting.push(row);
      else state.dropped += 1;
      logger.error({ ledgerId: row.id, refused, lost }, "a ledger entry could not be kept");
    }
  };
  return {
    keepWaiting,
    keep: async (row) => {
      try {
        await insertEntry(database, row);
      } catch (refused) {
        await keepOutside(row, refused);
        return;
      }
      await keepWaiting();
    },
    statistics: () => ({
      inMemory: waiting.length,
      inFile: state.inFallback,
      lost: state.dropped,
    }),
    health: () => {
      const unkept = waiting.length + state.dropped;
      if (unkept > 0) return { state: "degraded", detail: `${unkept} entries could not be kept` };
      if (state.inFallback === 0) return null;
      return {
        state: "degraded",
        detail: `${state.inFallback} entries wait outside the database until the next start`,
      };
    },
  };
}

/** Inserts the entry and marks it a regression when its whole group had been resolved. */
export async function insertEntry(database: Database, row: LedgerRow): Promise<void> {
  await database.write(async ({ tables }) => {
    const latest = await tables
      .selectFrom("ledger_entries")
      .select("resolved")
      .where("fingerprint", "=", row.fingerprint)
      .orderBy("time", "desc")
      .orderBy("id", "desc")
      .limit(1)
      .executeTakeFirst();
    await tables
      .insertInto("ledger_entries")
      .values({ ...row, regressed: latest?.resolved === 1 ? 1 : 0 })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  });
}
