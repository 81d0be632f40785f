export { backUp } from "./back-up.ts";
export { openDataDirectory } from "./data-directory.ts";
export type { DataDirectory } from "./data-directory.ts";
export { diskSpace } from "./disk-space.ts";
export { nameLastBackup } from "./name-last-backup.ts";
export { finishRestore, refuseUnfinishedRestore, restore } from "./restore.ts";
export { writeAtomically } from "./write-atomically.ts";
