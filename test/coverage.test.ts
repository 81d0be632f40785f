import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { coverLines } from "../scripts/cover-lines.ts";
import { readCoverage } from "../scripts/read-coverage.ts";

const text = "const a = 1;\nif (a > 5) {\n  b();\n}\n";
const at = (line: number, column: number, count: number) => ({
  start: { line, column },
  end: { line, column: column + 1 },
  count,
});
const statements = [at(1, 0, 0), at(2, 0, 0), at(3, 2, 0)];

describe("a line counts as run", () => {
  test("when a test's own process ran a statement on it", () => {
    expect([...coverLines({ text, statements: [at(1, 0, 2), at(2, 0, 0)], ranges: [] })]).toEqual([
      [1, true],
      [2, false],
    ]);
  });

  test("when one statement of several on it ran", () => {
    const lines = coverLines({ text, statements: [at(1, 0, 0), at(1, 6, 1)], ranges: [] });
    expect([...lines]).toEqual([[1, true]]);
  });

  test("when a child ran it: the innermost part speaks, in whichever order they come", () => {
    const whole = { startOffset: 0, endOffset: text.length, count: 1 };
    const branch = { startOffset: text.indexOf("{"), endOffset: text.indexOf("}") + 1, count: 0 };
    for (const ranges of [[[whole, branch]], [[branch, whole]]])
      expect([...coverLines({ text, statements, ranges }).values()]).toEqual([true, true, false]);
    const other = [whole, { ...branch, count: 3 }];
    expect([
      ...coverLines({ text, statements, ranges: [[whole, branch], other] }).values(),
    ]).toEqual([true, true, true]);
  });
});

describe("measured over processes", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "candor-coverage-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test("a child's lines in TypeScript are found where they stand, types and all", () => {
    const path = join(folder, "program.ts");
    const program = [
      "type Größe = { readonly n: number; readonly ä: string };",
      "const value: Größe = { n: process.argv.length, ä: 'ü' } satisfies Größe;",
      "if ((value.n as number) > 99) {",
      "  process.exitCode = 1;",
      "}",
      "process.title = 'done';",
    ];
    writeFileSync(path, program.join("\n"));
    const reports = join(folder, "reports");
    const child = spawnSync(process.execPath, [path], { env: { NODE_V8_COVERAGE: reports } });
    expect(child.status, child.stderr.toString()).toBe(0);
    writeFileSync(join(reports, "cut-off.json"), '{"result":[{"url":"fi');

    const places = [2, 3, 4, 6].map((line) => {
      const column = line === 4 ? 2 : 0;
      return [String(line), { start: { line, column }, end: { line, column: column + 3 } }];
    });
    const tests = join(folder, "tests.json");
    const measured = { statementMap: Object.fromEntries(places), s: {} };
    writeFileSync(tests, JSON.stringify({ [path]: measured }));
    expect(readCoverage({ source: folder, tests, reports })).toEqual({
      rooms: [{ room: "program.ts", lines: 4, run: 3 }],
      all: { room: "all of src/", lines: 4, run: 3 },
      unrun: { "src/program.ts": [4] },
      told: 1,
      cutOff: 1,
    });
  });

  test("a worker thread tells what it ran before it is ended", () => {
    writeFileSync(
      join(folder, "task.ts"),
      'import { parentPort } from "node:worker_threads";\nparentPort?.on("message", (n: number) => {\n  parentPort?.postMessage(n + 1);\n});\n',
    );
    const counting = pathToFileURL(join(import.meta.dirname, "..", "scripts", "cover-threads.ts"));
    writeFileSync(
      join(folder, "program.ts"),
      `import ${JSON.stringify(counting.href)};
const { Worker } = await import("node:worker_threads");
const worker = new Worker(new URL("./task.ts", import.meta.url), { env: {} });
worker.on("message", () => void worker.terminate());
worker.postMessage(1);
`,
    );
    const reports = join(folder, "reports");
    const child = spawnSync(process.execPath, [join(folder, "program.ts")], {
      env: { NODE_V8_COVERAGE: reports },
    });
    expect(child.status, child.stderr.toString()).toBe(0);
    const statement = { start: { line: 3, column: 2 }, end: { line: 3, column: 9 } };
    const tests = join(folder, "tests.json");
    writeFileSync(
      tests,
      JSON.stringify({ [join(folder, "task.ts")]: { statementMap: { 0: statement }, s: {} } }),
    );
    expect(readCoverage({ source: folder, tests, reports })).toMatchObject({
      all: { lines: 1, run: 1 },
      told: 2,
    });
  });
});
