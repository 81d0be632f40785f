import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The package's own folder and version, found upward from this file: the same in a clone and in a bundled release. */
export function findPackage(): { readonly folder: string; readonly version: string } {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = dirname(folder)) {
    const found = readPackage(join(folder, "package.json"));
    if (found !== null) return { folder, version: found.version };
    if (dirname(folder) === folder)
      throw new Error(`No package.json of candor stands above ${start}.`);
  }
}

function readPackage(path: string): { version: string } | null {
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return null;
    throw thrown;
  }
  const { name, version } = JSON.parse(content) as { name?: unknown; version?: unknown };
  return name === "candor" && typeof version === "string" ? { version } : null;
}
