export { prepareDocument } from "../search/prepare-document.ts";
export type { PreparedDocument } from "../search/prepare-document.ts";
export { splitIdentifiers } from "../search/split-identifiers.ts";
export { readFileSafely } from "../search/walk-folder.ts";
export { walkFolder } from "../search/walk-folder.ts";
