import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DefectError } from "#base/errors/index.ts";
import { probeMachine, taskUrl } from "./index.ts";

let root: string;

function addFile(path: string, text = ""): string {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  return pathToFileURL(join(root, path)).href;
}

const resolveFrom = (caller: string): string =>
  fileURLToPath(taskUrl(caller, "engine/runtimes/static-task.ts"));

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "candor-task-")));
  addFile("package.json", '{ "name": "candor" }');
});
afterEach(() => rmSync(root, { recursive: true }));

describe("taskUrl", () => {
  test("names the source when running from source", () => {
    const task = addFile("src/engine/runtimes/static-task.ts");
    const caller = addFile("src/engine/runtimes/static-runtime.ts");
    expect(resolveFrom(caller)).toBe(fileURLToPath(task));
  });

  test("names the compiled entry when built, wherever the caller was moved to", () => {
    addFile("src/engine/runtimes/static-task.ts");
    const task = addFile("dist/engine/runtimes/static-task.js");
    for (const caller of ["dist/main.js", "dist/chunks/app-x1.js", "bin/candor.js"])
      expect(resolveFrom(addFile(caller))).toBe(fileURLToPath(task));
  });

  test("passes by the package.json of other packages", () => {
    const task = addFile("dist/engine/runtimes/static-task.js");
    addFile("dist/chunks/package.json", '{ "name": "other" }');
    expect(resolveFrom(addFile("dist/chunks/a.js"))).toBe(fileURLToPath(task));
  });

  test("says when the build lacks the entry or there is no root", () => {
    const caller = addFile("dist/main.js");
    expect(() => resolveFrom(caller)).toThrow(DefectError);
    expect(() => resolveFrom(caller)).toThrow(/must list src\/engine\/runtimes\/static-task\.ts/);
    rmSync(join(root, "package.json"));
    expect(() => resolveFrom(caller)).toThrow(/no package\.json named "candor"/);
  });
});

test("probeMachine reports only what the system says", () => {
  const machine = probeMachine();
  expect(machine.cores).toBeGreaterThanOrEqual(1);
  expect(machine.memoryBytes).toBeGreaterThan(0);
  expect(machine).toMatchObject({
    platform: process.platform,
    arch: process.arch,
    accelerators: [],
  });
});
