import type { Operation } from "#operations/index.ts";
import type { ConfigurationSources } from "#base/config/index.ts";
import type { Exit } from "./exit-codes.ts";
import type { Interrupts } from "./terminal.ts";
import type { Parameter } from "./parameters.ts";
import type { Session } from "./session.ts";
import type { Terminal } from "./terminal.ts";

/** What was typed, by the field of each parameter; a switch is `true` or `false`. */
export type Typed = Readonly<Record<string, string | readonly string[]>>;

/** What a command is given. */
export type Context = {
  readonly terminal: Terminal;
  /** Only the answer's JSON goes to standard output. */
  readonly json: boolean;
  readonly workingDirectory: string;
  readonly sources: ConfigurationSources;
  readonly interrupts: Interrupts;
  readonly operations: readonly Operation[];
  readonly commands: readonly CliCommand[];
  /** The owner of the data directory, found or opened by the first request. */
  session(): Session;
};

/** One command: derived from an operation, composed of several, or about the process itself. */
export type CliCommand = {
  readonly words: readonly string[];
  readonly summary: string;
  readonly parameters: readonly Parameter[];
  readonly kind: "operation" | "composed" | "process";
  /** The operation behind it, where it is one. */
  readonly operation: Operation | null;
  readonly examples?: readonly string[];
  /** Not shown: a part of the completion scripts. */
  readonly hidden?: true;
  run(context: Context, typed: Typed): Promise<Exit>;
};

/** The one value of a parameter, or undefined when it was left out. */
export function one(typed: Typed, field: string): string | undefined {
  const value = typed[field];
  return typeof value === "string" ? value : value?.[0];
}

/** All values of a parameter that may be repeated. */
export function all(typed: Typed, field: string): readonly string[] {
  const value = typed[field];
  return typeof value === "string" ? [value] : (value ?? []);
}

/** A parameter of a command that no operation describes. */
export function parameter(
  name: string,
  description: string,
  form: Partial<Omit<Parameter, "name" | "description">> = {},
): Parameter {
  return {
    field: name,
    name,
    place: "option",
    kind: "text",
    required: form.place === "argument",
    repeated: false,
    choices: null,
    standard: null,
    description,
    secret: false,
    asked: false,
    ...form,
  };
}
