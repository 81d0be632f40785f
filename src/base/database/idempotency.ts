import type { Kysely } from "kysely";
import type { OpenTables, Tables } from "./tables.ts";

/** How long an answer is kept for a repeated request. */
export const idempotencyKeptMs = 24 * 3_600_000;

/** Keeps the answer to a request with an Idempotency-Key, and forgets those whose time is over. */
export async function keepAnswer(
  tables: Kysely<Tables>,
  answer: Omit<OpenTables["idempotency"], "created_at">,
): Promise<void> {
  const now = Date.now();
  await tables
    .deleteFrom("idempotency")
    .where("created_at", "<=", now - idempotencyKeptMs)
    .execute();
  await tables
    .insertInto("idempotency")
    .values({ ...answer, created_at: now })
    .execute();
}
