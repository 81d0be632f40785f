import type { Problem } from "#base/errors/index.ts";
import type { CliCommand } from "./command.ts";
import { showSafely, wrap, type Output } from "./terminal.ts";

/** An error as people read it: code and message, each wrong field by the name they typed, the next step, the ledger entry. */
export function renderFailure(
  problem: Problem,
  command: CliCommand | null,
  output: Output,
): string {
  const fields = (problem.errors ?? []).flatMap(({ pointer, message, valid }) => {
    const name = nameOf(pointer, command);
    if (name === null) return [];
    const choices = valid === undefined ? "" : `; valid: ${valid.map(String).join(", ")}`;
    return [`  ${name}: ${message}${choices}`];
  });
  // What the fields say need not be said twice.
  const text = fields.length > 0 ? problem.title : problem.detail;
  const ledgerId = problem.instance?.replace("urn:candor:", "");
  const lines = [
    `${output.style("red", `error (${problem.code}):`)} ${showSafely(text)}`,
    ...fields.map(showSafely),
    ...(problem.nextStep === undefined ? [] : [`next step: ${showSafely(problem.nextStep.text)}`]),
    ...(ledgerId === undefined ? [] : [`ledger entry: ${ledgerId}`]),
  ];
  return lines.map((line) => wrap(line, output.columns)).join("\n");
}

/** The argument or option that fills the field of a JSON pointer; null where the command has none. */
function nameOf(pointer: string, command: CliCommand | null): string | null {
  const field = pointer.split("/")[1];
  const found = command?.parameters.find((parameter) => parameter.field === field);
  if (found === undefined) return null;
  return found.place === "option" ? `--${found.name}` : `<${found.name}>`;
}
