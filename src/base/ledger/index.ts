export { createAudit } from "./audit.ts";
export type { Audit, AuditEntry, AuditRecord } from "./audit.ts";
export type { LedgerContext } from "./entry.ts";
export { openLedger } from "./ledger.ts";
export type { Ledger } from "./ledger.ts";
