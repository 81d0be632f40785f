import { text } from "node:stream/consumers";
import { CancelledError, InputInvalidError } from "#base/errors/index.ts";
import type { Operation } from "#operations/index.ts";
import { type Context, one, type Typed } from "./command.ts";
import { toParameters } from "./parameters.ts";

/** Most characters of standard input that are read for secrets. */
const mostInput = 100_000;

/**
 * The secrets an operation takes, which no argument names, for arguments are seen by every program of the machine: asked for on
 * a terminal, hidden; elsewhere one line of standard input each, in the order of the options. Needed ones are always asked for,
 * others where their switch was typed.
 */
export async function askSecrets(
  { terminal }: Context,
  operation: Operation,
  typed: Typed,
): Promise<Readonly<Record<string, string>>> {
  const wanted = toParameters(operation)
    .filter(({ secret, asked, field }) => secret && (asked || one(typed, field) === "true"))
    .map(({ field, name }) => ({ field, name }));
  if (wanted.length === 0) return {};
  const isTerminal = process.stdin.isTTY && terminal.err.isTerminal;
  return isTerminal ? askOnTerminal(wanted) : readLines(wanted);
}

type Wanted = readonly { readonly field: string; readonly name: string }[];

async function askOnTerminal(wanted: Wanted): Promise<Record<string, string>> {
  const { isCancel, password } = await import("@clack/prompts");
  const answers: Record<string, string> = {};
  for (const { field, name } of wanted) {
    const answer = await password({ message: name.replaceAll("-", " "), output: process.stderr });
    if (isCancel(answer)) throw new CancelledError("Nothing was entered.");
    answers[field] = answer ?? "";
  }
  return answers;
}

async function readLines(wanted: Wanted): Promise<Record<string, string>> {
  const lines = (await text(process.stdin)).slice(0, mostInput).split(/\r?\n/);
  return Object.fromEntries(
    wanted.map(({ field, name }, place) => {
      const line = lines[place];
      if (line === undefined || line === "")
        throw new InputInvalidError(
          `${name} is asked for on a terminal, or read from standard input, one line each.`,
          { errors: [{ pointer: `/${field}`, message: "is missing" }] },
        );
      return [field, line];
    }),
  );
}
