export type { Database, Scope, WriteHandle } from "./database.ts";
export type {
  ChunkRow,
  CollectionRow,
  DocumentRow,
  GrantLevel,
  JobItemRow,
  JobRow,
  OpenTables,
  Tables,
  TrashEntryRow,
} from "./tables.ts";
export { checkCopy, copyStore, endRuns, readThrough } from "./copy-store.ts";
export type { Damages } from "./copy-store.ts";
export { syncFolder } from "./store-mark.ts";
export { withAnswer } from "./answered-request.ts";
export { idempotencyKeptMs, keepAnswer } from "./idempotency.ts";
export { findRuntimeFault } from "./check-runtime.ts";
export { newId } from "./new-id.ts";
export { ownDataDirectory } from "./own-data-directory.ts";
export { openSqlite } from "./sqlite.ts";
export { measureStore } from "./sqlite-connection.ts";
export type { StoreSizes } from "./sqlite-connection.ts";
