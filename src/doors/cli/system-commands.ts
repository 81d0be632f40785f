import { checkConfiguration } from "#base/config/index.ts";
import { all, one, parameter, type CliCommand, type Context } from "./command.ts";
import { print } from "./operation-command.ts";
import { renderFault } from "./render-outcome.ts";
import { ask } from "./send.ts";
import { showSafely } from "./terminal.ts";
import type { Operation } from "#operations/index.ts";

/** `candor config check`: every fault at once, without starting or writing anything. */
export const configCheckCommand: CliCommand = {
  words: ["config", "check"],
  summary: "Check the configuration as `candor serve` would read it, without starting anything",
  parameters: [],
  kind: "process",
  operation: null,
  run: async (context) => {
    const found = checkConfiguration({ ...context.sources, role: "server" });
    const faults = found.map(({ key, code, message, severity }) => ({
      key,
      code,
      message,
      severity,
    }));
    print(context, { faults }, (output) =>
      faults.length === 0
        ? "the configuration is valid"
        : faults.map(({ severity, message }) => renderFault(severity, message, output)).join("\n"),
    );
    return faults.some(({ severity }) => severity === "fault") ? "failed" : "ok";
  },
};

const keyParameter = parameter("key", "The setting, such as logging.level", { place: "argument" });

/** `candor config set KEY VALUE`. */
export function configSetCommand(set: Operation): CliCommand {
  return {
    words: ["config", "set"],
    summary: "Store a setting that may change at run time; it holds at once",
    parameters: [
      keyParameter,
      parameter("value", "Its value; several for a list", { place: "argument", repeated: true }),
    ],
    kind: "operation",
    operation: set,
    examples: ["candor config set logging.level debug"],
    run: async (context, typed) => {
      const [first, ...more] = all(typed, "value");
      const value = more.length === 0 ? first : [first, ...more];
      return change(context, set, one(typed, "key") ?? "", value);
    },
  };
}

/** `candor config unset KEY`. */
export function configUnsetCommand(set: Operation): CliCommand {
  return {
    words: ["config", "unset"],
    summary: "Remove a stored setting; what it hid holds again",
    parameters: [keyParameter],
    kind: "operation",
    operation: set,
    run: async (context, typed) => change(context, set, one(typed, "key") ?? "", null),
  };
}

async function change(context: Context, set: Operation, key: string, value: unknown) {
  const answer = await ask(context, set.name, { values: { [key]: value } });
  const changed = answer["changed"] as readonly string[];
  print(context, answer, () =>
    changed.length === 0
      ? "stored; the value in force is the same"
      : `changed: ${changed.join(", ")}`,
  );
  return "ok" as const;
}

/**
 * `candor migrate`: brings the database up to date, which every start does; this does it before one, with the error where
 * people look. A running server has done it.
 */
export const migrateCommand: CliCommand = {
  words: ["migrate"],
  summary: "Bring the database up to date, with a copy of it in `backups/` first",
  parameters: [],
  kind: "process",
  operation: null,
  run: async (context) => {
    const health = await ask(context, "system.health", {});
    const checks = health["checks"] as readonly { name: string; state: string; detail: string }[];
    const database = checks.find(({ name }) => name === "database");
    if (database === undefined) throw new TypeError("health has no check of the database");
    const isWell = database.state === "ok";
    const detail = showSafely(database.detail);
    print(context, { database }, () =>
      isWell ? `the database is up to date: ${detail}` : `the database is not well: ${detail}`,
    );
    return isWell ? "ok" : "failed";
  },
};
