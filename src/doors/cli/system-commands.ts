import { join, resolve } from "node:path";
import { checkConfiguration, findDataDirectory, findPackage } from "#base/config/index.ts";
import { type Damages, readThrough } from "#base/database/index.ts";
import { DatabaseCorruptError, toCandorError } from "#base/errors/index.ts";
import { backUp, nameLastBackup, restore } from "#base/files/index.ts";
import { all, one, parameter, type CliCommand, type Context, type Typed } from "./command.ts";
import { print } from "./operation-command.ts";
import { renderFault, renderHealth } from "./render-outcome.ts";
import { ask, sayNotice } from "./send.ts";
import { showBytes, showSafely } from "./terminal.ts";
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

/** `candor backup [FOLDER]`: made by this process, beside a server that may run. */
export const backupCommand: CliCommand = {
  words: ["backup"],
  summary: "Back up the data directory into a new folder, while a server may run",
  parameters: [
    parameter(
      "folder",
      "Where the backup's folder is made; `backups/` of the data directory without",
      {
        place: "argument",
        required: false,
      },
    ),
  ],
  kind: "process",
  operation: null,
  examples: ["candor backup", "candor backup /mnt/backups"],
  run: async (context, typed) => {
    const { home, database } = findDataDirectory(context.sources);
    const named = one(typed, "folder");
    const folder = named === undefined ? join(home, "backups") : absolute(context, named);
    const { version } = findPackage();
    const backup = await backUp({ home, database, version }, folder);
    for (const name of backup.left)
      sayNotice(
        context,
        `${name} in ${home} is not in the backup: it is configuration you keep yourself`,
      );
    if (backup.files.some(({ name }) => name === "secret-key"))
      sayNotice(
        context,
        "the backup holds the generated secret key: keep it where only you can read",
      );
    print(context, backup, () => {
      const { documents = 0, chunks = 0 } = backup.counts;
      return [
        showSafely(`backed up to ${backup.path}`),
        `${showBytes(backup.bytes)} in ${backup.files.length} files: ${documents} documents, ${chunks} chunks, schema ${backup.schema}`,
        showSafely(`to restore it: candor restore ${backup.path}`),
      ].join("\n");
    });
    return "ok";
  },
};

/** `candor restore BACKUP [--to HOME] [--replace]`: with no server on that data directory. */
export const restoreCommand: CliCommand = {
  words: ["restore"],
  summary: "Restore a backup, or a copy from `backups/`, into a data directory that nobody uses",
  parameters: [
    parameter("backup", "The folder that `candor backup` made, or a database from `backups/`", {
      place: "argument",
    }),
    parameter("to", "Data directory to restore into; the configured one without"),
    parameter("replace", "Put aside what the data directory holds, in a folder inside it", {
      kind: "switch",
      standard: "false",
    }),
  ],
  kind: "process",
  operation: null,
  examples: [
    "candor restore /mnt/backups/candor-backup-20261121T150912123Z",
    "candor restore backups/candor-backup-20261121T150912123Z --replace",
  ],
  run: async (context, typed) => {
    const { home, database } = placeOf(context, one(typed, "to"));
    const from = absolute(context, one(typed, "backup") ?? "");
    const restored = await restore({
      from,
      home,
      database,
      replace: one(typed, "replace") === "true",
    });
    print(context, restored, () =>
      [
        showSafely(`restored ${restored.from} into ${home}`),
        `${restored.files.join(", ")}; ${restored.counts["documents"] ?? 0} documents, schema ${restored.schema}`,
        ...(restored.aside === null
          ? []
          : [showSafely(`what was there lies in ${restored.aside}`)]),
      ].join("\n"),
    );
    return "ok";
  },
};

function absolute({ workingDirectory }: Context, path: string): string {
  return resolve(workingDirectory, path);
}

function placeOf(context: Context, to: string | undefined): { home: string; database: string } {
  if (to === undefined) return findDataDirectory(context.sources);
  const home = absolute(context, to);
  return { home, database: join(home, "candor.sqlite") };
}

/** `candor doctor`: what the server says of itself, and the whole database read through by this process. */
export function doctorCommand(health: Operation): CliCommand {
  return {
    words: ["doctor"],
    summary: `${health.summary}; then read the whole database through`,
    parameters: [
      parameter("quick", "Leave out reading the whole database through", {
        kind: "switch",
        standard: "false",
      }),
    ],
    kind: "operation",
    operation: health,
    examples: ["candor doctor", "candor doctor --quick"],
    run: (context, typed) => runDoctor(context, health, typed),
  };
}

async function runDoctor(context: Context, health: Operation, typed: Typed) {
  const answer = await ask(context, health.name, {});
  const isQuick = one(typed, "quick") === "true";
  const checks = answer["checks"] as readonly { readonly state: string }[];
  const structure = isQuick ? null : await checkStructure(context);
  const isDamaged = structure?.state === "failed";
  const whole = {
    ...answer,
    status: isDamaged ? "failed" : answer["status"],
    checks: [...checks, ...(structure === null ? [] : [structure])],
  };
  print(context, whole, (output) => renderHealth(whole, output));
  return whole.status === "failed" ? "failed" : "ok";
}

/** The check that would take a server too long: it has a connection of its own, and does not disturb one that runs. */
async function checkStructure({ sources }: Context) {
  const { home, database } = findDataDirectory(sources);
  const began = performance.now();
  const found = readOrTell(database);
  const facts = {
    name: "structure",
    latencyMs: Math.round(performance.now() - began),
    checkedAt: new Date().toISOString(),
  };
  const { faults, damagedIndexes } = found;
  if (faults.length > 0) {
    const damaged = new DatabaseCorruptError(faults.slice(0, 3).join("; "));
    const error = toCandorError(await nameLastBackup(damaged, join(home, "backups")));
    const detail = `the database is damaged: ${damaged.message}`;
    return { ...facts, state: "failed", detail, nextStep: error.nextStep };
  }
  if (damagedIndexes.length === 0)
    return { ...facts, state: "ok", detail: "the whole database was read through and is sound" };
  return {
    ...facts,
    state: "degraded",
    detail: `${damagedIndexes.length} keyword indexes are damaged: ${damagedIndexes.join(", ")}`,
    nextStep: { text: "Search by words in those collections, or restart: they are made again." },
  };
}

/** A database that cannot even be opened for reading is damaged too. */
function readOrTell(database: string): Damages {
  try {
    return readThrough(database);
  } catch (thrown) {
    if (!(thrown instanceof DatabaseCorruptError)) throw thrown;
    return { faults: [thrown.message], damagedIndexes: [] };
  }
}
