import { renderScript, shells, type Point, type Shell } from "./completion-scripts.ts";
import { one, parameter, type CliCommand, type Context } from "./command.ts";
import type { Parameter } from "./parameters.ts";
import { ask } from "./send.ts";

/** `candor completion SHELL`: a script for that shell. */
export const completionCommand: CliCommand = {
  words: ["completion"],
  summary: "Print the completion script of a shell",
  parameters: [
    parameter("shell", "The shell", { place: "argument", choices: Object.keys(shells) }),
  ],
  kind: "process",
  operation: null,
  examples: Object.values(shells),
  run: async (context, typed) => {
    const points = toPoints(context.commands.filter(({ hidden }) => hidden !== true));
    context.terminal.out.line(renderScript(one(typed, "shell") as Shell, points));
    return "ok";
  },
};

/** `candor __complete collections`: names for the scripts, one a line. */
export const completeCommand: CliCommand = {
  words: ["__complete"],
  summary: "Names for completion scripts",
  parameters: [parameter("what", "What to list", { place: "argument", choices: ["collections"] })],
  kind: "process",
  operation: null,
  hidden: true,
  run: completeNames,
};

async function completeNames(context: Context) {
  const { items } = await ask(context, "collections.list", { limit: 100 });
  for (const { name } of items as readonly { name: string }[]) context.terminal.out.line(name);
  return "ok" as const;
}

/** What may follow each prefix of a command, the empty one first. */
function toPoints(commands: readonly CliCommand[]): Point[] {
  const points = new Map<string, Point>();
  const pointAt = (path: string): Point => {
    const known = points.get(path);
    if (known) return known;
    const made: Point = { path, words: [], options: [], argument: "" };
    points.set(path, made);
    return made;
  };
  pointAt("");
  for (const { words, summary, parameters } of commands) {
    for (const [depth, word] of words.entries()) {
      const parent = pointAt(words.slice(0, depth).join(" "));
      const isLast = depth === words.length - 1;
      const known = parent.words.find((each) => each.word === word);
      if (known === undefined) parent.words.push({ word, summary: isLast ? summary : "" });
      else if (isLast) known.summary = summary;
    }
    const point = pointAt(words.join(" "));
    point.options.push(
      ...parameters.filter(({ place }) => place === "option").map(toOption),
      { name: "json", description: "Print the answer as JSON", values: "" },
      { name: "help", description: "Show help", values: "" },
    );
    const argument = parameters.find(({ place }) => place === "argument");
    point.argument = argument === undefined ? "" : valuesOf(argument);
  }
  return [...points.values()];
}

function toOption(option: Parameter): Point["options"][number] {
  const isOff = option.kind === "switch" && option.standard === "true";
  return {
    name: isOff ? `no-${option.name}` : option.name,
    description: option.description,
    values: option.kind === "switch" ? "" : valuesOf(option) || "@none",
  };
}

function valuesOf({ name, choices }: Parameter): string {
  if (choices !== null) return choices.join(" ");
  if (name === "collection") return "@collections";
  return name === "path" || name === "files" ? "@files" : "";
}
