import { expect, test } from "vitest";
import { operations } from "#operations/index.ts";
import { buildCommands, commandsByHand } from "./commands.ts";
import { parseCommandLine, type Parsed } from "./program.ts";
import { renderCliReference } from "./commands.ts";
import type { Output, Terminal } from "./terminal.ts";

const commands = buildCommands(operations);

function collect(): { terminal: Terminal; out: string[]; err: string[] } {
  const out: string[] = [];
  const err: string[] = [];
  const open = (lines: string[]): Output => ({
    isTerminal: false,
    columns: null,
    stream: process.stdout,
    line: (text) => lines.push(text),
    style: (_, text) => text,
  });
  return { terminal: { out: open(out), err: open(err) }, out, err };
}

function parse(...words: string[]): Parsed & { out: string; err: string } {
  const { terminal, out, err } = collect();
  const parsed = parseCommandLine(commands, words, terminal, "1.2.3");
  return { ...parsed, out: out.join("\n"), err: err.join("\n") };
}

test("every operation has the command that its definition names, and only the listed ones are made by hand", () => {
  const words = commands.map((command) => command.words.join(" "));
  expect(new Set(words).size).toBe(words.length);
  for (const { cli } of operations)
    if (cli) expect(words).toContain(cli.command.replace(/ [<[].*$/, ""));
  const derived = operations.flatMap(({ cli }) =>
    cli ? [cli.command.replace(/ [<[].*$/, "")] : [],
  );
  const byHand = Object.values(commandsByHand).flat<readonly (readonly string[])[]>();
  expect(words.filter((each) => !derived.includes(each)).toSorted()).toEqual(
    byHand.filter((each) => !derived.includes(each)).toSorted(),
  );
  for (const kind of ["process", "composed"] as const)
    expect(
      commands
        .filter((command) => command.kind === kind)
        .map((command) => command.words.join(" "))
        .toSorted(),
    ).toEqual([...commandsByHand[kind]].toSorted());
});

test("help, help of every command and the reference name them all", () => {
  const front = parse("--help");
  expect(front).toMatchObject({ command: null, exit: "ok" });
  const reference = renderCliReference(operations);
  for (const command of commands) {
    if (command.hidden) continue;
    const name = command.words.join(" ");
    expect(front.out).toContain(`  ${command.words[0]}`);
    const help = parse(...command.words, "--help");
    expect(help).toMatchObject({ command: null, exit: "ok" });
    expect(reference).toContain(`## candor ${name}\n`);
    for (const { name: option, place, standard, kind } of command.parameters) {
      if (place !== "option") continue;
      const typed = `--${kind === "switch" && standard === "true" ? "no-" : ""}${option}`;
      expect(reference).toContain(`\`${typed}`);
    }
  }
  expect(front.out).not.toContain("__complete");
});

test("what is typed arrives by field, and nothing else does", () => {
  const line = "search how --collection a --collection b --min-score -0.5 --why --json";
  const parsed = parse(...line.split(" "));
  expect(parsed).toMatchObject({
    command: { words: ["search"] },
    json: true,
    typed: { query: "how", collections: ["a", "b"], minScore: "-0.5", why: "true" },
  });
  expect(parse("search", "x")).toMatchObject({ typed: { query: "x" }, json: false });
  expect(parse("index", ".", "--collection", "a", "--no-wait")).toMatchObject({
    typed: { path: ".", collection: "a", wait: "false" },
  });
  expect(parse("add", "a", "b", "--collection", "c")).toMatchObject({
    typed: { files: ["a", "b"], collection: "c" },
  });
  expect(parse("search", "--", "-v")).toMatchObject({ typed: { query: "-v" } });
});

test("a bare noun lists, with the options of the list", () => {
  expect(parse("jobs", "--state", "failed")).toMatchObject({
    command: { operation: { name: "jobs.list" } },
    typed: { state: "failed" },
  });
  expect(parse("jobs", "list")).toMatchObject({ command: { operation: { name: "jobs.list" } } });
  expect(parse("jobs", "show", "job_1")).toMatchObject({
    command: { operation: { name: "jobs.get" } },
    typed: { job: "job_1" },
  });
});

test.each([
  [["serach", "x"], "Did you mean search?"],
  [["jobs", "shwo"], "unknown command 'shwo' for 'jobs'; valid: list, show"],
  [["search"], "missing required argument 'query'"],
  [["search", "x", "y"], "too many arguments"],
  [["search", "x", "--mod", "y"], "Did you mean --mode?"],
  [["search", "x", "--mode", "y"], "Allowed choices are hybrid, semantic, keyword"],
  [["index", "."], "required option '--collection <name>' not specified"],
  [[], "Usage: candor"],
])("candor %j is refused with what would be right", (words, message) => {
  const parsed = parse(...words);
  expect(parsed).toMatchObject({ command: null, exit: "usage" });
  expect(parsed.err).toContain(message);
  expect(parsed.out).toBe("");
});

test("the version is printed alone", () => {
  expect(parse("--version")).toMatchObject({ command: null, exit: "ok", out: "1.2.3" });
});
