export type { LedgerContext, LedgerEntry } from "./entry.ts";
export type { RunLedger } from "./export-run.ts";
export { openLedger } from "./ledger.ts";
export type { Ledger, LedgerGroup } from "./ledger.ts";
