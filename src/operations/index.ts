import { collectionsCreate } from "./collections/create.ts";
import { collectionsDelete } from "./collections/delete.ts";
import { collectionsGet } from "./collections/get.ts";
import { collectionsList } from "./collections/list.ts";
import { collectionsSync } from "./collections/sync.ts";
import { collectionsUpdate } from "./collections/update.ts";
import type { Operation } from "./define-operation.ts";
import { documentsAddBatch } from "./documents/add-batch.ts";
import { documentsAdd } from "./documents/add.ts";
import { documentsDelete } from "./documents/delete.ts";
import { documentsGet } from "./documents/get.ts";
import { documentsList } from "./documents/list.ts";
import { documentsRead } from "./documents/read.ts";
import { embeddingsEmbed } from "./embeddings/embed.ts";
import { jobsCancel } from "./jobs/cancel.ts";
import { jobsEvents } from "./jobs/events.ts";
import { jobsGet } from "./jobs/get.ts";
import { jobsItems } from "./jobs/items.ts";
import { jobsList } from "./jobs/list.ts";
import { jobsResume } from "./jobs/resume.ts";
import { jobsRetryFailed } from "./jobs/retry-failed.ts";
import { keysCreate } from "./keys/create.ts";
import { keysList } from "./keys/list.ts";
import { keysRevoke } from "./keys/revoke.ts";
import { ledgerExport } from "./ledger/export.ts";
import { ledgerGet } from "./ledger/get.ts";
import { ledgerGroups } from "./ledger/groups.ts";
import { ledgerList } from "./ledger/list.ts";
import { ledgerResolve } from "./ledger/resolve.ts";
import { operationsList } from "./operations/list.ts";
import { searchExplain } from "./search/explain.ts";
import { searchQuery } from "./search/query.ts";
import { settingsList } from "./settings/list.ts";
import { settingsSet } from "./settings/set.ts";
import { signinCreate } from "./signin/create.ts";
import { spacesGet } from "./spaces/get.ts";
import { spacesList } from "./spaces/list.ts";
import { systemHealth } from "./system/health.ts";
import { systemInfo } from "./system/info.ts";
import { systemMetrics } from "./system/metrics.ts";

/** Every operation there is: the product's table of contents. Doors, documents and tests derive from it. */
export const operations = [
  systemHealth,
  systemInfo,
  systemMetrics,
  settingsList,
  settingsSet,
  operationsList,
  signinCreate,
  keysCreate,
  keysList,
  keysRevoke,
  ledgerList,
  ledgerGet,
  ledgerGroups,
  ledgerResolve,
  ledgerExport,
  jobsList,
  jobsGet,
  jobsItems,
  jobsEvents,
  jobsCancel,
  jobsResume,
  jobsRetryFailed,
  embeddingsEmbed,
  spacesList,
  spacesGet,
  collectionsCreate,
  collectionsList,
  collectionsGet,
  collectionsUpdate,
  collectionsDelete,
  collectionsSync,
  documentsAdd,
  documentsAddBatch,
  documentsList,
  documentsGet,
  documentsRead,
  documentsDelete,
  searchQuery,
  searchExplain,
] as unknown as readonly Operation[];

export { coerceStrings } from "./coerce-strings.ts";
export { defineOperation } from "./define-operation.ts";
export type { App, Operation } from "./define-operation.ts";
export { problemOf, runOperation, streamOperation } from "./run-operation.ts";
export type { Answer, Caller } from "./run-operation.ts";
