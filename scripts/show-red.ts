// `npm run faults:red [name …]`: shows that the fault harnesses can fail. Each planted bug is one file
// `test/faults/planted/<name>.json`:
//   {
//     "what": "one sentence: what is wrong with the change in place",
//     "file": "src/base/database/sqlite-connection.ts", the file that is changed
//     "find": "pragma synchronous = full",          stands in it exactly once
//     "replace": "pragma synchronous = normal",
//     "test": "test/faults/power-loss.test.ts",     the harness that must go red
//     "only": "part of a test's name",              optional: only the tests with this in their name (as `vitest -t`)
//     "environment": { "NAME": "value" }            optional: for the test, such as a smaller number of rounds
//   }
// The tree is copied to a temporary folder (node_modules and assets by link), the bug is planted there, the test runs there.
// RED is what is wanted: a failed test. A harness that stays green, skips, or cannot be loaded fails this command.
// Without a name every planted bug is shown, one after the other; `--list` names them.
// `test/faults/planted.test.ts` sees to it that every `find` still fits.
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { plant, type PlantedBug, readPlantedBugs } from "../test/faults/planted/planted-bugs.ts";

const repository = join(import.meta.dirname, "..");
const linked = ["node_modules", "assets"];
const say = (text: string) => process.stdout.write(`${text}\n`);

const bugs = readPlantedBugs();
const words = process.argv.slice(2);
if (words[0] === "--list") for (const { name, what } of bugs) say(`${name}: ${what}`);
else process.exitCode = show(words);

/** Exit code 0 when every chosen harness went red. */
function show(names: readonly string[]): number {
  const unknown = names.filter((name) => !bugs.some((bug) => bug.name === name));
  if (unknown.length > 0) {
    say(`There is no planted bug ${unknown.join(", ")}; there are: ${list(bugs)}.`);
    return 2;
  }
  const chosen = names.length === 0 ? bugs : bugs.filter(({ name }) => names.includes(name));
  const green = chosen.filter((bug) => !isRed(bug));
  say(`${chosen.length - green.length} of ${chosen.length} harnesses went red.`);
  if (green.length > 0) say(`Not red: ${list(green)}.`);
  return green.length === 0 ? 0 : 1;
}

function list(some: readonly PlantedBug[]): string {
  return some.map(({ name }) => name).join(", ");
}

function isRed(bug: PlantedBug): boolean {
  const folder = mkdtempSync(join(tmpdir(), "candor-red-"));
  try {
    copyTree(folder);
    const path = join(folder, bug.file);
    writeFileSync(path, plant(bug, readFileSync(path, "utf8")));
    const { red, told } = runThere(folder, bug);
    say(`${red ? "RED (as wanted)" : "NOT RED"}  ${bug.name}: ${bug.what}\n${told}`);
    return red;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** All that is or would be committed. */
function copyTree(folder: string): void {
  const asked = ["ls-files", "-co", "--exclude-standard", "--deduplicate", "-z"];
  const listed = execFileSync("git", asked, { cwd: repository, encoding: "utf8" }).split("\0");
  for (const file of listed) {
    if (linked.includes(file.split("/")[0] ?? "")) continue;
    // A file that was deleted and not committed yet is still listed.
    if (file === "" || !existsSync(join(repository, file))) continue;
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    copyFileSync(join(repository, file), join(folder, file));
  }
  for (const name of linked) symlinkSync(join(repository, name), join(folder, name));
}

type Report = {
  numFailedTests: number;
  numPassedTests: number;
  testResults: {
    message: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
  }[];
};

function runThere(folder: string, bug: PlantedBug): { red: boolean; told: string } {
  const report = join(folder, "red-report.json");
  const runner = join(folder, "node_modules", "vitest", "vitest.mjs");
  const only = bug.only === undefined ? [] : ["-t", escapeForRegExp(bug.only)];
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [runner, "run", bug.test, ...only, "--reporter=json", `--outputFile=${report}`],
    { cwd: folder, encoding: "utf8", env: { ...process.env, ...bug.environment } },
  );
  if (!existsSync(report))
    return { red: false, told: `    it wrote no report: ${stdout}${stderr}` };
  const { numFailedTests, numPassedTests, testResults } = JSON.parse(
    readFileSync(report, "utf8"),
  ) as Report;
  const lines = testResults.flatMap(({ message, assertionResults }) => [
    ...(message === "" ? [] : [`    ${firstLines(message)}`]),
    ...assertionResults
      .filter(({ status }) => status === "failed")
      .map(
        ({ fullName, failureMessages }) =>
          `    ${fullName}\n        ${firstLines(failureMessages[0] ?? "")}`,
      ),
  ]);
  if (numFailedTests === 0 && numPassedTests === 0) lines.push("    no test ran: all were skipped");
  return { red: numFailedTests > 0, told: lines.join("\n") };
}

/** As much of a failure as shows what was lost. */
function firstLines(text: string): string {
  return text.split("\n").slice(0, 3).join("\n        ").slice(0, 400);
}

function escapeForRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
