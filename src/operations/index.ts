import { accessExplain } from "./access/explain.ts";
import { activityList } from "./activity/list.ts";
import { auditList } from "./audit/list.ts";
import { auditVerify } from "./audit/verify.ts";
import { authLogin } from "./auth/login.ts";
import { authLogout } from "./auth/logout.ts";
import { authMe } from "./auth/me.ts";
import { authRefresh } from "./auth/refresh.ts";
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
import { grantsList } from "./grants/list.ts";
import { grantsRemove } from "./grants/remove.ts";
import { grantsSet } from "./grants/set.ts";
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
import { storageCleanup } from "./storage/cleanup.ts";
import { storageUsage } from "./storage/usage.ts";
import { systemHealth } from "./system/health.ts";
import { systemInfo } from "./system/info.ts";
import { systemMetrics } from "./system/metrics.ts";
import { trashEmpty } from "./trash/empty.ts";
import { trashList } from "./trash/list.ts";
import { trashRestore } from "./trash/restore.ts";
import { usersCreate } from "./users/create.ts";
import { usersDelete } from "./users/delete.ts";
import { usersList } from "./users/list.ts";
import { usersUpdate } from "./users/update.ts";

/** Every operation there is: the product's table of contents. Doors, documents and tests derive from it. */
export const operations = [
  systemHealth,
  systemInfo,
  systemMetrics,
  settingsList,
  settingsSet,
  operationsList,
  signinCreate,
  authLogin,
  authRefresh,
  authLogout,
  authMe,
  usersCreate,
  usersList,
  usersUpdate,
  usersDelete,
  keysCreate,
  keysList,
  keysRevoke,
  grantsList,
  grantsSet,
  grantsRemove,
  accessExplain,
  auditList,
  auditVerify,
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
  activityList,
  storageUsage,
  storageCleanup,
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
  trashList,
  trashRestore,
  trashEmpty,
  searchQuery,
  searchExplain,
] as unknown as readonly Operation[];

export { coerceStrings } from "./coerce-strings.ts";
export { defineOperation } from "./define-operation.ts";
export type { App, Operation } from "./define-operation.ts";
export type { Answer, Caller } from "./course.ts";
export { problemOf, refuseOperation, runOperation, streamOperation } from "./run-operation.ts";
