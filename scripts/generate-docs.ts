import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { renderConfigurationReference } from "#base/config/index.ts";
import { operations } from "#operations/index.ts";
import { renderCliReference } from "#doors/cli/index.ts";
import { renderErrors } from "./render-errors.ts";
import { renderHttp } from "./render-http.ts";

/** Every generated document: its path from the repository's root and its text. */
export function renderDocuments(): ReadonlyMap<string, string> {
  return new Map([
    ["docs/errors.md", renderErrors()],
    ["docs/configuration.md", renderConfigurationReference()],
    ["docs/http.md", renderHttp()],
    ["docs/cli.md", renderCliReference(operations)],
  ]);
}

if (import.meta.main) {
  for (const [path, text] of renderDocuments()) {
    const target = join(import.meta.dirname, "..", path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, text);
  }
}
