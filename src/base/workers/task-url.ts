import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { DefectError } from "#base/errors/index.ts";

/** The name in package.json that marks the root of Candor; folders of other packages on the way up are passed by. */
const packageName = "candor";

/**
 * The module that a worker thread starts with. `pathBelowSource` is the task's path below `src/`, for example
 * `engine/runtimes/static-task.ts`; `importMetaUrl` is the caller's `import.meta.url`.
 *
 * Running from source gives `src/<path>`. In the built package the caller may have been moved into any chunk, so only
 * the root is taken from its address; the entry is `dist/<path>` with `.js` in place of `.ts`, where the build puts
 * every listed task. A missing entry is a `DefectError`: the build forgot to list it.
 */
export function taskUrl(importMetaUrl: string, pathBelowSource: string): URL {
  const caller = fileURLToPath(importMetaUrl);
  const root = findPackageRoot(dirname(caller));
  const path = caller.endsWith(".ts")
    ? join(root, "src", pathBelowSource)
    : join(root, "dist", pathBelowSource.replace(/\.ts$/, ".js"));
  if (!existsSync(path))
    throw new DefectError(
      `worker entry ${path} does not exist: the build must list src/${pathBelowSource} as an entry`,
    );
  return pathToFileURL(path);
}

function findPackageRoot(start: string): string {
  for (let folder = start; ; folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (existsSync(file)) {
      const manifest = JSON.parse(readFileSync(file, "utf8")) as { name?: unknown };
      if (manifest.name === packageName) return folder;
    }
    if (dirname(folder) === folder)
      throw new DefectError(
        `no package.json named "${packageName}" in ${start} or above: the installation is incomplete`,
      );
  }
}
