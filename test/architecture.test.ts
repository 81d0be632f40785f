import { existsSync, globSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Node } from "web-tree-sitter";
import { findFaults, type SourceFile } from "./house-rules.ts";
import { openTypeScriptParser } from "./parse-typescript.ts";

/**
 * The house, first to last: a floor with its rooms. A room may import only rooms that stand before it, by their index.ts.
 * docs/architecture.md shows the same list.
 */
const house = [
  "base: errors secrets config telemetry network workers database files events ledger access jobs",
  "engine: formats runtimes embeddings",
  "workbench: readers search overview",
  "operations",
  "doors: http cli",
  "app",
];

const repository = join(import.meta.dirname, "..");

let parse: (text: string) => Node;
beforeAll(async () => {
  parse = await openTypeScriptParser();
});

/** Every TypeScript file that is ours. */
function readHouse(): SourceFile[] {
  return globSync(["src/**/*.ts", "test/**/*.ts", "bench/**/*.ts", "scripts/**/*.ts", "*.ts"], {
    cwd: repository,
    exclude: ["bench/quality/**", "test/fixtures/**/*.d.ts"],
  })
    .map((path) => path.split(sep).join("/"))
    .toSorted()
    .map((path) => ({ path, text: readFileSync(join(repository, path), "utf8") }));
}

test("the house is as its list says: rooms, order, sizes, names, no swallowed errors", () => {
  const files = readHouse();
  expect(files.length).toBeGreaterThan(200);
  expect(findFaults(house, files, parse)).toEqual([]);
});

test("docs/architecture.md shows the same list", () => {
  const page = readFileSync(join(repository, "docs", "architecture.md"), "utf8");
  expect(/```rooms\n([\s\S]*?)\n```/.exec(page)?.[1]?.split("\n")).toEqual(house);
});

test("every room has an index.ts or is a way in", () => {
  const rooms = house.slice(0, 3).flatMap((line) => {
    const [floor = "", names = ""] = line.split(": ");
    return names.split(" ").map((name) => `src/${floor}/${name}`);
  });
  for (const room of rooms) expect(existsSync(join(repository, room, "index.ts")), room).toBe(true);
});

describe("the check sees", () => {
  const faultsOf = (path: string, text: string) =>
    findFaults(house, [{ path, text }], parse).filter((fault) => fault.startsWith(`${path}:`));
  const lines = (count: number) => "// line\n".repeat(count);

  test.each([
    [
      "a later room",
      "src/base/errors/problem.ts",
      'import { a } from "#workbench/search/index.ts";',
    ],
    ["a later type", "src/base/errors/a.ts", 'import type { A } from "#base/config/index.ts";'],
    ["a later export", "src/base/errors/a.ts", 'export { a } from "#base/config/index.ts";'],
    ["a later dynamic import", "src/engine/formats/a.ts", 'await import("#operations/index.ts");'],
    ["a door in a door", "src/doors/cli/a.ts", 'import { a } from "#doors/http/index.ts";'],
    ["the app in the workbench", "src/workbench/search/a.ts", 'import { a } from "#app";'],
    ["a look past an index", "src/base/jobs/a.ts", 'import { a } from "#base/ledger/entry.ts";'],
    ["a look past the table", "src/doors/http/a.ts", 'import { a } from "#operations/cursor.ts";'],
    ["a relative crossing", "src/base/jobs/a.ts", 'import { a } from "../ledger/index.ts";'],
    [
      "a crossing of capabilities",
      "src/operations/jobs/a.ts",
      'import { a } from "../keys/list.ts";',
    ],
    ["the table in a capability", "src/operations/jobs/a.ts", 'import { a } from "../index.ts";'],
    ["an own file by its long name", "src/base/jobs/a.ts", 'import { a } from "#base/jobs/b.ts";'],
    [
      "a test's file in the product",
      "src/base/jobs/a.ts",
      'import { a } from "../../../test/b.ts";',
    ],
    ["an unknown room", "src/base/cache/a.ts", "export {};"],
    ["a folder in a room", "src/base/jobs/queue/a.ts", "export {};"],
    ["a name that says nothing", "src/base/jobs/utils.ts", "export {};"],
    ["a suffix that says nothing", "src/base/jobs/job-manager.ts", "export {};"],
    ["a folder that says nothing", "test/helpers/open-door.ts", "export {};"],
    ["401 lines", "src/base/jobs/a.ts", lines(401)],
    ["an index of 41 lines", "src/base/jobs/index.ts", lines(41)],
    ["an empty catch", "src/base/jobs/a.ts", "try { a(); } catch { /* fine */ }"],
    [
      "a catch with a list",
      "src/base/jobs/a.ts",
      "function f() { try { a(); } catch { return []; } }",
    ],
    [
      "a catch with null",
      "src/base/jobs/a.ts",
      "function f() { try { a(); } catch (e) { return null; } }",
    ],
    [
      "a catch that just returns",
      "src/base/jobs/a.ts",
      "function f() { try { a(); } catch { return; } }",
    ],
    ["a caught promise", "src/base/jobs/a.ts", "void a().catch(() => null);"],
    ["a caught promise, its error unread", "bench/a.ts", "void a().catch((thrown) => 0);"],
    ["a default of a schema", "src/base/jobs/a.ts", "const b = string().catch('none');"],
    ["an exit", "src/base/jobs/a.ts", "process.exit(1);"],
    ["the environment", "src/base/jobs/a.ts", 'const home = process.env["HOME"];'],
    ["the environment by name", "src/base/jobs/a.ts", 'const home = process["env"];'],
  ])("%s", (_what, path, text) => {
    expect(faultsOf(path, text)).toHaveLength(1);
  });

  test("a room of one file, and one of 21", () => {
    const room = (count: number) =>
      Array.from({ length: count }, (_, index) => ({
        path: `src/base/jobs/a${index}.ts`,
        text: "",
      }));
    const about = (count: number) =>
      findFaults(house, room(count), parse).filter((fault) => fault.startsWith("src/base/jobs:"));
    expect(about(1)).toEqual(["src/base/jobs:1: 1 files; a room has 3 to 20"]);
    expect(about(21)).toEqual(["src/base/jobs:1: 21 files; a room has 3 to 20"]);
    expect(about(20)).toEqual([]);
  });

  test.each([
    ["an earlier room", "src/base/jobs/a.ts", 'import { a } from "#base/ledger/index.ts";'],
    ["the files beside the table", "src/operations/jobs/a.ts", 'import { a } from "../cursor.ts";'],
    ["the table's own rows", "src/operations/index.ts", 'import { a } from "./jobs/list.ts";'],
    ["the app in the command line", "src/doors/cli/a.ts", 'await import("#app");'],
    [
      "words in a text",
      "src/base/jobs/a.ts",
      "const text = 'import a from \"#doors/cli/index.ts\"';",
    ],
    [
      "a catch that throws on",
      "src/base/jobs/a.ts",
      "try { a(); } catch (e) { if (b(e)) throw e; }",
    ],
    [
      "a catch that reads the error",
      "src/base/jobs/a.ts",
      "f(() => { try { a(); } catch (e) { return b(e); } });",
    ],
    ["a handled promise", "src/base/jobs/a.ts", "void a().catch((thrown) => record(thrown));"],
    ["a handler by name", "src/base/jobs/a.ts", "void a().catch(record);"],
    ["an exit of the command line", "src/doors/cli/main.ts", "process.exit(1);"],
    ["the environment in its room", "src/base/config/a.ts", "const all = process.env;"],
  ])("nothing wrong in %s", (_what, path, text) => {
    expect(faultsOf(path, text)).toEqual([]);
  });
});
