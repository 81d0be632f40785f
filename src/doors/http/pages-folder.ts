import { join } from "node:path";
import { findPackage } from "#base/config/index.ts";

/** Where the static files of the pages lie: below `src/` in a clone, and at the same place below `dist/` in a release. */
export function pagesFolder(): string {
  const root = import.meta.url.endsWith(".ts") ? "src" : "dist";
  return join(findPackage().folder, root, "doors", "http", "pages");
}
