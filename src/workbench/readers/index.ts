export type { PreparedDocument } from "./prepare-document.ts";
export { splitIdentifiers } from "./split-identifiers.ts";
export { readFileSafely, walkFolder } from "./walk-folder.ts";
