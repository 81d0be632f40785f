// `npm test`: runs every test and measures which lines of src/ they ran; below the wanted share it fails. With arguments, such as
// a folder, it only runs what they name, as `vitest run` does.
// What the tests run in their own processes is counted by vitest, what they run in children (`node bin/candor.js …`) and in worker
// threads by V8 itself, and a line counts when any of them ran it. Children and threads that are killed tell nothing: what only
// they ran counts as not run.
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type RoomCoverage, readCoverage } from "./read-coverage.ts";
import { markdownTable } from "./markdown-table.ts";

/** Share of the lines of src/ that the tests must run. */
const wantedShare = 0.9;

const repository = join(import.meta.dirname, "..");
const folder = join(repository, "coverage");
const reports = join(folder, "children");

const wanted = process.argv.slice(2);
process.exitCode = wanted.length > 0 ? runTests(wanted, {}) : runCovered();

function runTests(words: readonly string[], environment: Record<string, string>): number {
  const runner = join(repository, "node_modules", "vitest", "vitest.mjs");
  const { status } = spawnSync(process.execPath, [runner, "run", ...words], {
    cwd: repository,
    stdio: "inherit",
    env: { ...process.env, ...environment },
  });
  return status ?? 1;
}

/** Exit code 0 when every test passed and they ran enough of the lines. */
function runCovered(): number {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(reports, { recursive: true });
  const status = runTests(["--coverage"], { CHILD_COVERAGE: reports });
  const measured = readCoverage({
    source: join(repository, "src"),
    tests: join(folder, "vitest", "coverage-final.json"),
    reports,
  });
  const unrun = join(folder, "unrun-lines.json");
  writeFileSync(unrun, `${JSON.stringify(measured.unrun, null, 1)}\n`);
  const { all, rooms } = measured;
  process.stdout.write(
    `\n${markdownTable(["Room", "Lines", "Run", "Share"], [...rooms, all].map(toRow))}\n\n` +
      `${measured.told} children and threads told what they ran, ${measured.cutOff} were killed as they did.\n` +
      `The lines that no test ran are in ${unrun}.\n`,
  );
  if (all.lines > 0 && all.run / all.lines >= wantedShare) return status;
  process.stderr.write(
    `The tests ran ${percent(all)} of the lines of src/; at least ${100 * wantedShare} % are wanted.\n`,
  );
  return status === 0 ? 1 : status;
}

function toRow(coverage: RoomCoverage): string[] {
  return [coverage.room, String(coverage.lines), String(coverage.run), percent(coverage)];
}

function percent({ lines, run }: RoomCoverage): string {
  return lines === 0 ? "no lines" : `${((100 * run) / lines).toFixed(1)} %`;
}
