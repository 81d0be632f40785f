import type { Operation } from "#operations/index.ts";
import { addCommand, indexCommand, searchCommand } from "./content-commands.ts";
import type { CliCommand } from "./command.ts";
import { completeCommand, completionCommand } from "./completion.ts";
import { exitCodes } from "./exit-codes.ts";
import { operationCommand } from "./operation-command.ts";
import type { Parameter } from "./parameters.ts";
import { serveCommand } from "./serve-command.ts";
import {
  backupCommand,
  configCheckCommand,
  configSetCommand,
  configUnsetCommand,
  doctorCommand,
  migrateCommand,
  restoreCommand,
} from "./system-commands.ts";

/** Commands about the process itself; they have no row in the operation table. */
const processCommands: readonly CliCommand[] = [
  serveCommand,
  configCheckCommand,
  migrateCommand,
  backupCommand,
  restoreCommand,
  completionCommand,
  completeCommand,
];

/** Operations whose command line is not their input field by field: files to read, a pair to put together, more than one request. */
const ownForms: Readonly<Record<string, (operation: Operation) => readonly CliCommand[]>> = {
  "search.query": (operation) => [searchCommand(operation)],
  "collections.sync": (operation) => [indexCommand(operation)],
  "documents.add": (operation) => [addCommand(operation)],
  "system.health": (operation) => [doctorCommand(operation)],
  "settings.set": (operation) => [configSetCommand(operation), configUnsetCommand(operation)],
};

/** The commands that do not come from the definition of an operation, by kind: what the table test expects, and nothing else. */
export const commandsByHand = {
  process: ["serve", "config check", "migrate", "backup", "restore", "completion", "__complete"],
  composed: ["index", "search"],
  operation: ["add", "doctor", "config set", "config unset"],
} as const;

/** Every command, from the operation table and by hand. */
export function buildCommands(operations: readonly Operation[]): CliCommand[] {
  const derived = operations.flatMap((operation) => {
    const own = ownForms[operation.name];
    if (own !== undefined) return own(operation);
    return operation.cli === null ? [] : [operationCommand(operation)];
  });
  return [...processCommands, ...derived];
}

const beginning = `# Command line

Generated from the operation table and the commands in \`src/doors/cli\`; \`candor help\` and \`candor <command> --help\` say the same.

A command talks to the running server of the data directory (\`CANDOR_HOME\`, else \`~/.candor\`). Where none runs, it opens the engine itself for as long as it takes, and other commands talk to it meanwhile.

- Every command takes \`--json\`: standard output then holds the operation's answer as JSON and nothing else. Progress, notes, warnings and errors go to standard error, always.
- Commands that start a job follow it to its end, with a progress bar on a terminal and plain lines elsewhere. Ctrl-C cancels the job and waits for it; a second Ctrl-C leaves at once. \`--no-wait\` answers with the job instead.
- A noun alone lists: \`candor jobs\` is \`candor jobs list\`.
- Colours appear only on a terminal, and not with \`NO_COLOR\`.
- A value that begins with a dash stands after \`--\`: \`candor search -- -v\`.`;

/** `docs/cli.md`: every command with its arguments, options and examples, and what the exit codes mean. */
export function renderCliReference(operations: readonly Operation[]): string {
  const shown = buildCommands(operations).filter(({ hidden }) => hidden !== true);
  const sorted = shown.toSorted((one, other) => compare(nameOf(one), nameOf(other)));
  return `${[beginning, renderExitCodes(), ...sorted.map(renderCommand)].join("\n\n")}\n`;
}

function renderExitCodes(): string {
  const lines = Object.values(exitCodes).map(({ code, meaning }) => `- \`${code}\`: ${meaning}`);
  return `## Exit codes\n\n${lines.join("\n")}`;
}

function renderCommand(command: CliCommand): string {
  const { parameters, summary, operation, examples = [] } = command;
  const given = parameters.filter(({ place }) => place === "argument");
  const usage = [nameOf(command), ...given.map(showArgument)].join(" ");
  const lines = parameters.map(renderParameter);
  const role =
    operation === null || operation.permission === "public" ? null : operation.permission;
  return [
    `## ${nameOf(command)}`,
    `\`${usage}\``,
    `${summary}.`,
    ...(lines.length === 0 ? [] : [lines.join("\n")]),
    ...(operation === null
      ? []
      : [
          `Operation \`${operation.name}\`${role === null ? "" : `, from the role \`${role.role}\``}.`,
        ]),
    ...(examples.length === 0 ? [] : [`\`\`\`sh\n${examples.join("\n")}\n\`\`\``]),
  ].join("\n\n");
}

function nameOf({ words }: CliCommand): string {
  return `candor ${words.join(" ")}`;
}

function showArgument({ name, required, repeated }: Parameter): string {
  const inner = `${name}${repeated ? "..." : ""}`;
  return required ? `<${inner}>` : `[${inner}]`;
}

function renderParameter(parameter: Parameter): string {
  const { place, name, kind, standard, required, repeated, choices } = parameter;
  const isOff = kind === "switch" && standard === "true";
  const typed =
    place === "argument"
      ? showArgument(parameter)
      : `--${isOff ? "no-" : ""}${name}${kind === "switch" ? "" : ` <${kind}>`}`;
  const remarks = [
    parameter.description,
    ...(choices === null ? [] : [`One of ${choices.map((choice) => `\`${choice}\``).join(", ")}`]),
    ...(standard === null || kind === "switch" ? [] : [`Default \`${standard}\``]),
    ...(required && place === "option" ? ["Required"] : []),
    ...(repeated && place === "option" ? ["May be repeated"] : []),
  ].filter((remark) => remark !== "");
  return `- \`${typed}\`${remarks.length === 0 ? "" : `: ${remarks.join(". ")}.`}`;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
