import type { Operation } from "#operations/define-operation.ts";
import { addCommand } from "./add-command.ts";
import type { CliCommand } from "./command.ts";
import { completeCommand, completionCommand } from "./completion.ts";
import {
  configCheckCommand,
  configSetCommand,
  configUnsetCommand,
  migrateCommand,
} from "./system-commands.ts";
import { indexCommand } from "./index-command.ts";
import { operationCommand } from "./operation-command.ts";
import { searchCommand } from "./search-command.ts";
import { serveCommand } from "./serve-command.ts";

/** Commands about the process itself; they have no row in the operation table. */
const processCommands: readonly CliCommand[] = [
  serveCommand,
  configCheckCommand,
  migrateCommand,
  completionCommand,
  completeCommand,
];

/** Operations whose command line is not their input field by field: files to read, a pair to put together, more than one request. */
const ownForms: Readonly<Record<string, (operation: Operation) => readonly CliCommand[]>> = {
  "search.query": (operation) => [searchCommand(operation)],
  "collections.sync": (operation) => [indexCommand(operation)],
  "documents.add": (operation) => [addCommand(operation)],
  "settings.set": (operation) => [configSetCommand(operation), configUnsetCommand(operation)],
};

/** The commands that do not come from the definition of an operation, by kind: what the table test expects, and nothing else. */
export const commandsByHand = {
  process: ["serve", "config check", "migrate", "completion", "__complete"],
  composed: ["index", "search"],
  operation: ["add", "config set", "config unset"],
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
