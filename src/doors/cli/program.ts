import { Argument, Command, CommanderError, Option } from "commander";
import type { CliCommand, Typed } from "./command.ts";
import type { Parameter } from "./parameters.ts";
import { exitCodes } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";

/** What a command line asks for: a command with its values, or nothing more than was already printed. */
export type Parsed =
  | { readonly command: CliCommand; readonly typed: Typed; readonly json: boolean }
  | { readonly command: null; readonly exit: "ok" | "usage" };

/** Groups of the help's front page, by the first word of a command. */
const groups: readonly (readonly [string, readonly string[]])[] = [
  [
    "Run:",
    ["serve", "doctor", "config", "migrate", "backup", "restore", "info", "metrics", "completion"],
  ],
  [
    "Documents and search:",
    ["index", "add", "search", "explain", "docs", "collections", "sync", "spaces", "embed"],
  ],
];
const otherGroup = "Work and access:";

const about = `Search your own files by meaning and by words, with nothing made up.

A first search:
  candor index ./docs --collection handbook
  candor search "how do I restore a backup" --collection handbook`;

/** Reads a command line. Help, version and what is wrong with the line are printed here. */
export function parseCommandLine(
  commands: readonly CliCommand[],
  words: readonly string[],
  terminal: Terminal,
  version: string,
): Parsed {
  const state: { chosen: Parsed | null } = { chosen: null };
  const program = buildProgram(commands, terminal, version, (chosen) => (state.chosen = chosen));
  try {
    program.parse(words, { from: "user" });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    return { command: null, exit: thrown.exitCode === 0 ? "ok" : "usage" };
  }
  return state.chosen ?? { command: null, exit: "usage" };
}

function buildProgram(
  commands: readonly CliCommand[],
  { out, err }: Terminal,
  version: string,
  choose: (chosen: Parsed) => void,
): Command {
  const program = new Command("candor")
    .description(about)
    .version(version, "-V, --version", "Show the version")
    .helpOption("-h, --help", "Show help")
    .helpCommand("help [command]", "Show help of a command")
    .enablePositionalOptions()
    .showHelpAfterError("Add --help for what is valid.")
    .configureOutput({
      writeOut: (text) => out.line(text.replace(/\n$/, "")),
      writeErr: (text) => err.line(text.replace(/\n$/, "")),
      getOutHelpWidth: () => out.columns ?? 100,
      getErrHelpWidth: () => err.columns ?? 100,
    })
    .exitOverride();
  program.addHelpText("after", `\nEvery command takes --json. Exit codes: ${listExitCodes()}.`);
  const nodes = new Map<string, Command>([["", program]]);
  for (const command of inHelpOrder(commands)) {
    const parent = groupFor(nodes, command.words.slice(0, -1), commands);
    const word = command.words.at(-1) ?? "";
    const hasChildren = commands.some(
      ({ words }) =>
        words.length > command.words.length &&
        command.words.every((each, index) => words[index] === each),
    );
    if (hasChildren) {
      const group = groupFor(nodes, command.words, commands);
      addLeaf(group, "list", command, choose, true);
    } else {
      const leaf = addLeaf(parent, word, command, choose, false);
      if (command.words.length === 1) leaf.helpGroup(groupOf(word));
    }
  }
  return program;
}

function listExitCodes(): string {
  return Object.entries(exitCodes)
    .map(([name, { code }]) => `${code} ${name}`)
    .join(", ");
}

/** Commands in the order of the help: by group, then as the table has them. */
function inHelpOrder(commands: readonly CliCommand[]): CliCommand[] {
  const order = groups.flatMap(([, words]) => words);
  const place = ({ words: [first = ""] }: CliCommand) =>
    order.includes(first) ? order.indexOf(first) : order.length;
  return commands.toSorted((one, other) => place(one) - place(other));
}

function groupOf(word: string): string {
  return groups.find(([, words]) => words.includes(word))?.[0] ?? otherGroup;
}

/** The command that only holds others, made when it is missing. */
function groupFor(
  nodes: Map<string, Command>,
  words: readonly string[],
  commands: readonly CliCommand[],
): Command {
  const path = words.join(" ");
  const known = nodes.get(path);
  if (known) return known;
  const parent = groupFor(nodes, words.slice(0, -1), commands);
  const inside = commands.filter(
    (command) =>
      command.words.length === words.length + 1 && command.words.join(" ").startsWith(`${path} `),
  );
  const own = commands.find((command) => command.words.join(" ") === path);
  const verbs = inside.map((command) => command.words.at(-1) ?? "");
  const group = parent
    .command(words.at(-1) ?? "")
    .description(`${own ? `${own.summary}; also: ` : ""}${verbs.join(", ")}`)
    .enablePositionalOptions()
    .helpCommand(false);
  if (words.length === 1) group.helpGroup(groupOf(path));
  nodes.set(path, group);
  return group;
}

function addLeaf(
  parent: Command,
  word: string,
  command: CliCommand,
  choose: (chosen: Parsed) => void,
  isDefault: boolean,
): Command {
  const leaf = parent.command(word, { hidden: command.hidden === true, isDefault });
  leaf.description(command.summary);
  const options = new Map<Option, Parameter>();
  for (const parameter of command.parameters) {
    if (parameter.place === "argument") leaf.addArgument(toArgument(parameter));
    else
      for (const option of toOptions(parameter)) {
        options.set(option, parameter);
        leaf.addOption(option);
      }
  }
  leaf.option("--json", "Print the answer as JSON, and nothing else on standard output");
  if (command.examples)
    leaf.addHelpText(
      "after",
      `\nExamples:\n${command.examples.map((line) => `  ${line}`).join("\n")}`,
    );
  const takesArguments = command.parameters.some(({ place }) => place === "argument");
  if (isDefault && !takesArguments) leaf.allowExcessArguments();
  leaf.action(() => {
    const [unknown] = takesArguments ? [] : leaf.args;
    if (unknown !== undefined) refuseWord(parent, unknown);
    choose({
      command,
      typed: readTyped(leaf, command, options),
      json: leaf.opts()["json"] === true,
    });
  });
  return leaf;
}

/** A word after a bare noun that is none of its commands. */
function refuseWord(parent: Command, word: string): never {
  const valid = parent.commands.map((each) => each.name()).join(", ");
  parent.error(`error: unknown command '${word}' for '${parent.name()}'; valid: ${valid}`, {
    code: "commander.unknownCommand",
  });
}

function toArgument({ name, required, repeated, description, choices }: Parameter): Argument {
  const inner = `${name}${repeated ? "..." : ""}`;
  const argument = new Argument(required ? `<${inner}>` : `[${inner}]`, description);
  return choices === null || repeated ? argument : argument.choices(choices);
}

/** What stands for an option's value in the help. */
function placeholder({ name, kind }: Parameter): string {
  if (["collection", "space"].includes(name)) return "name";
  if (["include", "exclude"].includes(name)) return "glob";
  return kind;
}

/** One option; a switch without a default can be said both ways. */
function toOptions(parameter: Parameter): Option[] {
  const { name, kind, required, repeated, choices, standard } = parameter;
  const about = describe(parameter);
  if (kind === "switch") {
    const on = new Option(`--${name}`, about);
    const off = new Option(`--no-${name}`, about);
    if (parameter.secret) return parameter.asked ? [] : [on];
    return standard === "true" ? [off] : standard === "false" ? [on] : [on, off];
  }
  const option = new Option(`--${name} <${placeholder(parameter)}>`, about);
  if (choices !== null && !repeated) option.choices(choices);
  if (repeated)
    option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
  return [option.makeOptionMandatory(required)];
}

function describe({ description, standard, kind, repeated, required }: Parameter): string {
  const remarks = [
    ...(required ? ["required"] : []),
    ...(standard === null || kind === "switch" ? [] : [`default: ${standard}`]),
    ...(repeated ? ["may be repeated"] : []),
    ...(kind === "json" ? ["as JSON"] : []),
  ];
  return remarks.length === 0 ? description : `${description} (${remarks.join(", ")})`.trim();
}

/** What was typed, and only that: defaults are the operation's own. */
function readTyped(
  leaf: Command,
  command: CliCommand,
  options: ReadonlyMap<Option, Parameter>,
): Typed {
  const typed: Record<string, string | readonly string[]> = {};
  const named = command.parameters.filter(({ place }) => place === "argument");
  for (const [index, { field }] of named.entries()) {
    const value = leaf.processedArgs[index] as string | string[] | undefined;
    if (value !== undefined && value.length > 0) typed[field] = value;
  }
  for (const [option, { field }] of options) {
    const name = option.attributeName();
    if (leaf.getOptionValueSource(name) !== "cli") continue;
    const value = leaf.getOptionValue(name) as string | string[] | boolean;
    typed[field] = typeof value === "boolean" ? String(value) : value;
  }
  return typed;
}
