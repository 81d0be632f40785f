/** Preloaded with `--import <url of this file>?bugs=name,name`: plants those bugs while their files are loaded, in threads too. */
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { plant, readPlantedBugs } from "./planted-bugs.ts";

const repository = join(import.meta.dirname, "../../..");
const wanted = (new URL(import.meta.url).searchParams.get("bugs") ?? "").split(",");
const bugs = new Map(
  readPlantedBugs()
    .filter(({ name }) => wanted.includes(name))
    .map((bug) => [pathToFileURL(join(repository, bug.file)).href, bug]),
);
if (bugs.size !== wanted.length)
  throw new Error(`not all of ${wanted.join(", ")} are planted bugs`);

registerHooks({
  load: (url, context, nextLoad) => {
    const loaded = nextLoad(url, context);
    const bug = bugs.get(url);
    if (bug === undefined) return loaded;
    if (typeof loaded.source !== "string" && !(loaded.source instanceof Uint8Array))
      throw new TypeError(`the source of ${url} cannot be read`);
    const text =
      typeof loaded.source === "string" ? loaded.source : new TextDecoder().decode(loaded.source);
    return { ...loaded, source: plant(bug, text) };
  },
});
