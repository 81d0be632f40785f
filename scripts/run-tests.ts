// Runs every test and measures which lines of src/ they run: `node scripts/measure-coverage.ts`. What the tests run in their own
// processes is counted by vitest, what they run in children (`node bin/candor.js …`) and in worker threads by V8 itself, and a line
// counts when any of them ran it. Children and threads that are killed tell nothing: what only they ran counts as not run.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { type CoveredFile, type CoveredRange, coverLines, type Statement } from "./cover-lines.ts";
import { markdownTable } from "./markdown-table.ts";

/** Share of the lines of src/ that the tests must run. */
const leastShare = 0.9;

const repository = join(import.meta.dirname, "..");
const folder = join(repository, "coverage");
const children = join(folder, "children");

/** Statements by file as vitest writes them, in Istanbul's form. */
type Measured = Record<
  string,
  { statementMap: Record<string, Statement>; s: Record<string, number> }
>;

/** What V8 writes when a process ends that was started with NODE_V8_COVERAGE. */
type ProcessCoverage = {
  result: { url: string; functions: { ranges: CoveredRange[] }[] }[];
};

rmSync(folder, { recursive: true, force: true });
mkdirSync(children, { recursive: true });
const runner = join(repository, "node_modules", "vitest", "vitest.mjs");
const { status } = spawnSync(
  process.execPath,
  [runner, "run", "--coverage", ...process.argv.slice(2)],
  {
    cwd: repository,
    stdio: "inherit",
    env: { ...process.env, CHILD_COVERAGE: children },
  },
);

const measured = JSON.parse(
  readFileSync(join(folder, "vitest", "coverage-final.json"), "utf8"),
) as Measured;
const files = new Map<string, CoveredFile>();
for (const [path, { statementMap, s }] of Object.entries(measured))
  files.set(path, {
    text: readFileSync(path, "utf8"),
    statements: Object.entries(statementMap).map(([id, place]) => ({
      ...place,
      count: s[id] ?? 0,
    })),
    ranges: [],
  });
const reports = readdirSync(children).filter((name) => name.endsWith(".json"));
let unreadable = 0;
for (const name of reports) {
  const report = readReport(join(children, name));
  if (report === null) unreadable += 1;
  for (const { url, functions } of report?.result ?? []) {
    const file = url.startsWith("file:") ? files.get(fileURLToPath(url)) : undefined;
    file?.ranges.push(functions.flatMap(({ ranges }) => ranges));
  }
}

const rooms = new Map<string, { lines: number; run: number }>();
const unrun: Record<string, number[]> = {};
for (const [path, file] of files) {
  const lines = coverLines(file);
  const place = relative(join(repository, "src"), path)
    .split(sep)
    .slice(0, -1)
    .slice(0, 2)
    .join("/");
  for (const name of [place === "" ? "app" : place, "all of src/"]) {
    const room = rooms.get(name) ?? { lines: 0, run: 0 };
    room.lines += lines.size;
    for (const isRun of lines.values()) if (isRun) room.run += 1;
    rooms.set(name, room);
  }
  unrun[relative(repository, path)] = [...lines]
    .filter(([, isRun]) => !isRun)
    .map(([line]) => line);
}
writeFileSync(join(folder, "unrun-lines.json"), `${JSON.stringify(unrun, null, 1)}\n`);

const all = rooms.get("all of src/") ?? { lines: 0, run: 0 };
const rows = [...rooms.entries()]
  .toSorted(([one], [other]) => (one < other ? -1 : 1))
  .map(([name, { lines, run }]) => [name, String(lines), String(run), percent(run, lines)]);
process.stdout.write(`\n${markdownTable(["Room", "Lines", "Run", "Share"], rows)}\n\n`);
process.stdout.write(
  `${reports.length - unreadable} children and threads reported, ${unreadable} were killed as they did. Lines that no test ran: coverage/unrun-lines.json\n`,
);
if (all.lines === 0 || all.run / all.lines < leastShare) {
  process.stderr.write(
    `The tests run ${percent(all.run, all.lines)} of the lines of src/; at least ${percent(leastShare, 1)} are wanted.\n`,
  );
  process.exitCode = 1;
}
if (status !== 0) process.exitCode = status ?? 1;

/** Null for what a child left half written when it was killed. */
function readReport(path: string): ProcessCoverage | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ProcessCoverage;
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return null;
    throw thrown;
  }
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "none" : `${((100 * part) / whole).toFixed(1)} %`;
}
