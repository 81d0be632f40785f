export { openDataDirectory } from "./data-directory.ts";
export type { DataDirectory } from "./data-directory.ts";
export { diskSpace } from "./disk-space.ts";
export { writeAtomically } from "./write-atomically.ts";
