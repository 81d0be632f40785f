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
} from "./tables.ts";
export { idempotencyKeptMs, withIdempotency } from "./idempotency.ts";
export { findRuntimeFault } from "./check-runtime.ts";
export { newId } from "./new-id.ts";
export { ownDataDirectory } from "./own-data-directory.ts";
export { openSqlite } from "./sqlite.ts";
