import { join } from "node:path";
import { pino } from "pino";
import { toCandorError, type Severity } from "#base/errors/index.ts";
import type { Config } from "#base/config/index.ts";
import { toJsonLine, toTextLine } from "./log-line.ts";
import { describeContext, toMessage, toRecord, type LogFields } from "./log-record.ts";
import { createRotatingFile } from "./rotating-file.ts";
import { currentContext } from "./work-context.ts";

export type LogLevel = Config["logging"]["level"];
const levels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

type LogCall = { (message: string): void; (fields: LogFields, message: string): void };

/** What went wrong with logging itself. `failing`: the last line meant for the file did not reach it. */
export type LoggerFaults = {
  readonly count: number;
  readonly linesLost: number;
  readonly failing: boolean;
  readonly last: {
    readonly at: string;
    readonly target: "file" | "console" | "record";
    readonly message: string;
  } | null;
};

/** Writes structured lines; none of its calls throws. Secrets are removed from messages, fields and errors. */
export type Logger = { readonly [Level in (typeof levels)[number]]: LogCall } & {
  /** Logs an error at the level of its severity; what Candor did not raise on purpose is `unexpected`. */
  failure(thrown: unknown, fields?: LogFields): void;
  /** A logger whose lines all carry `fields`. Level, file and faults are shared. */
  child(fields: LogFields): Logger;
  setLevel(level: LogLevel): void;
  faults(): LoggerFaults;
  /** Closes the file. A later line opens it again. */
  close(): void;
};

export type LoggerOptions = Config["logging"] & {
  /** Where `candor.log` and its older files lie. */
  readonly folder: string;
  /** Where console lines go: standard error, for standard output belongs to the commands. */
  readonly stream?: NodeJS.WritableStream;
};

const severityLevels = {
  critical: "fatal",
  high: "error",
  medium: "warn",
  low: "info",
  info: "info",
} as const satisfies Record<Severity, (typeof levels)[number]>;

/** Opens the log. A file that cannot be written is no reason to stop: it shows in `faults()` and once on standard error. */
export function createLogger(options: LoggerOptions): Logger {
  const output = openOutput(options);
  const lines = pino(
    {
      level: options.level,
      base: null,
      messageKey: "message",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (value: unknown) => value },
    },
    { write: output.write },
  );
  const { redaction } = options;
  const build = (context: LogFields): Logger => {
    const log = (level: (typeof levels)[number], fields: LogFields, message: string) => {
      if (!lines.isLevelEnabled(level)) return;
      const course = { ...describeContext(currentContext(), redaction), ...context };
      try {
        lines[level](toRecord(course, fields, redaction), toMessage(message, redaction));
      } catch (thrown) {
        output.addFault("record", thrown); // a getter among the fields threw; the message is still worth a line
        lines[level](
          { ...course, fieldsLeftOut: "they could not be read" },
          toMessage(message, redaction),
        );
      }
    };
    const call =
      (level: (typeof levels)[number]): LogCall =>
      (first: LogFields | string, message?: string) =>
        typeof first === "string" ? log(level, {}, first) : log(level, first, message ?? "");
    return {
      trace: call("trace"),
      debug: call("debug"),
      info: call("info"),
      warn: call("warn"),
      error: call("error"),
      fatal: call("fatal"),
      failure: (thrown, fields = {}) => {
        const error = toCandorError(thrown);
        const shown = thrown instanceof Error ? thrown : error;
        log(
          severityLevels[error.severity],
          { ...fields, code: error.code, error: shown },
          error.message,
        );
      },
      child: (fields) => build(toRecord(context, fields, redaction)),
      setLevel: (level) => void (lines.level = level),
      faults: output.faults,
      close: output.close,
    };
  };
  return build({});
}

type Output = {
  readonly write: (json: string) => void;
  readonly addFault: (target: "file" | "console" | "record", thrown: unknown) => void;
  readonly faults: () => LoggerFaults;
  readonly close: () => void;
};

/** The file and the console behind one `write`, which never throws. */
function openOutput(options: LoggerOptions): Output {
  const stream = options.stream ?? process.stderr;
  const toLine = options.format === "text" ? toTextLine : toJsonLine;
  const file = options.file
    ? createRotatingFile({
        path: join(options.folder, "candor.log"),
        maximumBytes: options.fileMegabytes * 1024 * 1024,
        kept: options.files,
      })
    : null;
  const state = { count: 0, linesLost: 0, missing: 0, last: null as LoggerFaults["last"] };
  const addFault: Output["addFault"] = (target, thrown) => {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    state.count += 1;
    state.last = { at: new Date().toISOString(), target, message: toMessage(message, true) };
  };
  const stopListening = onStreamError(stream, (thrown) => addFault("console", thrown));
  const own = (message: string) =>
    toLine(JSON.stringify({ level: "error", time: new Date().toISOString(), message }));
  const writeFile = (line: string) => {
    if (file === null) return;
    try {
      const gap =
        state.missing === 0
          ? ""
          : own(`${state.missing} log lines are missing here: ${state.last?.message}`);
      file.write(gap + line);
      state.missing = 0;
    } catch (thrown) {
      addFault("file", thrown);
      state.linesLost += 1;
      state.missing += 1;
      if (state.missing === 1)
        stream.write(own(`the log file cannot be written: ${state.last?.message}`));
    }
  };
  return {
    write: (json) => {
      const line = toLine(json);
      writeFile(line);
      if (options.console) stream.write(line);
    },
    addFault,
    faults: () => ({
      count: state.count,
      linesLost: state.linesLost,
      failing: state.missing > 0,
      last: state.last,
    }),
    close: () => {
      file?.close();
      stopListening();
    },
  };
}

type ErrorListener = (thrown: Error) => void;

/** Who wants to hear of errors, by stream: each stream gets one listener for good, however many loggers write to it. */
const errorListeners = new WeakMap<NodeJS.WritableStream, Set<ErrorListener>>();

/** A closed pipe must not end the process: the stream says so later, in an event, perhaps after its last logger was closed. */
function onStreamError(stream: NodeJS.WritableStream, listener: ErrorListener): () => void {
  const known = errorListeners.get(stream);
  const listeners = known ?? new Set<ErrorListener>();
  listeners.add(listener);
  if (known === undefined) {
    errorListeners.set(stream, listeners);
    stream.on("error", (thrown: Error) => {
      for (const told of listeners) told(thrown);
    });
  }
  return () => void listeners.delete(listener);
}
