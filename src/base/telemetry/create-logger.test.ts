import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import fastCheck from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  CandorError,
  DefectError,
  DiskFullError,
  FileMissingError,
  FileUnreadableError,
  InputInvalidError,
  protectSecret,
} from "#base/errors/index.ts";
import { createLogger, type LoggerOptions } from "./create-logger.ts";

// oxlint-disable-next-line no-control-regex
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202e]/;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "candor-log-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(options: Partial<LoggerOptions> = {}) {
  const written: string[] = [];
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      written.push(String(chunk));
      done();
    },
  });
  const logger = createLogger({
    level: "trace",
    format: "json",
    console: true,
    file: false,
    fileMegabytes: 1,
    files: 2,
    redaction: true,
    folder,
    stream,
    ...options,
  });
  const lines = () => written.join("").split("\n").slice(0, -1);
  const records = () => lines().map((line) => JSON.parse(line) as Record<string, unknown>);
  return { logger, stream, lines, records };
}

describe("lines", () => {
  it("carry time, level, message, context and fields", () => {
    const { logger, records } = open();
    logger.info("started");
    logger.child({ requestId: "r1" }).child({ job: "j1" }).warn({ port: 7340 }, "busy");
    expect(records()).toEqual([
      { level: "info", time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/), message: "started" },
      {
        level: "warn",
        time: expect.any(String),
        requestId: "r1",
        job: "j1",
        port: 7340,
        message: "busy",
      },
    ]);
  });

  it("obey the level, also when it changes at run time and in children made before", () => {
    const { logger, records } = open({ level: "warn" });
    const child = logger.child({ a: 1 });
    child.info("unheard");
    logger.setLevel("debug");
    child.debug("heard");
    child.trace("unheard");
    logger.setLevel("error");
    child.warn("unheard");
    child.fatal("heard");
    expect(records().map(({ message }) => message)).toEqual(["heard", "heard"]);
  });

  it("take the level from an error's severity and tell defects from errors raised on purpose", () => {
    const { logger, records } = open();
    logger.failure(new DiskFullError("full"));
    logger.failure(new DefectError("defect"));
    logger.failure(new FileUnreadableError("unreadable"));
    logger.failure(new FileMissingError("missing"), { file: "a" });
    logger.failure(new TypeError("x is not a function", { cause: new Error("deeper") }));
    logger.failure("a thrown text");
    expect(
      records().map(({ level, code, error }) => [
        level,
        code,
        (error as { unexpected: boolean }).unexpected,
      ]),
    ).toEqual([
      ["fatal", "disk_full", false],
      ["error", "defect", true],
      ["warn", "file_unreadable", false],
      ["info", "file_missing", false],
      ["error", "defect", true],
      ["error", "defect", true],
    ]);
    expect(records()[4]?.["error"]).toMatchObject({
      name: "TypeError",
      message: "x is not a function",
      stack: expect.stringContaining("create-logger.test.ts"),
      causes: [{ message: "deeper" }],
    });
  });

  it("go to standard error or nowhere, and to the file in the same form", () => {
    const { logger, lines } = open({ file: true, console: false });
    logger.info("to the file");
    logger.close();
    expect(lines()).toEqual([]);
    const path = join(folder, "candor.log");
    expect(readFileSync(path, "utf8")).toMatch(/^\{"level":"info".*"to the file"\}\n$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("leave out the fields of a line that is too long, and say so", () => {
    const { logger, lines, records } = open();
    const wide = Object.fromEntries(
      Array.from({ length: 100 }, (_, n) => [`n${n}`, Array(100).fill("x".repeat(390))]),
    );
    logger.info({ wide }, "much");
    expect(lines()[0]?.length).toBeLessThan(1000);
    expect(records()[0]).toMatchObject({
      message: "much",
      fieldsLeftOut: expect.stringMatching(/^\d{6,} characters$/),
    });
  });
});

describe("redaction", () => {
  const canary = "canary-7f3a9c51e2";
  const shaped = "hf_canaryABCDEFGHIJKLMNOP0123";

  function logSecrets(logger: ReturnType<typeof open>["logger"]) {
    protectSecret(canary);
    logger.info(`message ${canary} and Bearer ${shaped}`);
    logger.info({ note: canary, deep: [{ more: { text: `x${canary}x` } }], [canary]: 1 }, "fields");
    logger.info(
      {
        password: shaped,
        apiKey: shaped,
        headers: { authorization: shaped, cookie: `a=${shaped}`, "x-api-key": shaped },
      },
      "names",
    );
    logger.info({ address: `postgres://me:${shaped}@h/d` }, "address");
    const error = new Error(`failed with ${canary}`, { cause: new Error(shaped) });
    Object.assign(error, { code: canary });
    logger.error({ error, err: error }, "errors");
    logger.failure(
      new InputInvalidError(`bad ${canary}`, {
        details: { token: shaped, text: canary },
        errors: [{ pointer: "/a", message: canary }],
      }),
      { by: canary },
    );
    logger.failure(new AggregateError([new Error(canary)], shaped));
    logger.child({ session: canary, token: shaped }).warn("child");
    logger.failure({ toString: () => canary });
  }

  it.each(["json", "text"] as const)("keeps secrets out of every part of a %s line", (format) => {
    const { logger, lines } = open({ format, file: true });
    logSecrets(logger);
    logger.close();
    expect(lines().length).toBe(9);
    const all = lines().join("\n") + readFileSync(join(folder, "candor.log"), "utf8");
    expect(all).not.toContain("canary");
    expect(all).toContain("[redacted]");
  });

  it("is off only when it is turned off", () => {
    const { logger, lines } = open({ redaction: false });
    logger.info({ password: shaped }, canary);
    expect(lines()[0]).toContain(shaped);
    expect(lines()[0]).toContain(canary);
  });
});

describe("forgery", () => {
  const forged =
    'x\n{"level":"error","message":"forged"}\r\u2028\u2029\u0085\u001b[2K\u009b1A\u202e';

  it.each(["json", "text"] as const)(
    "is impossible through values, names, context or errors (%s)",
    (format) => {
      const { logger, lines } = open({ format });
      logger.child({ [forged]: forged }).info({ [`${forged}2`]: forged, list: [forged] }, forged);
      const error = new Error(forged);
      error.name = forged;
      logger.failure(error);
      expect(lines()).toHaveLength(2);
      for (const line of lines()) expect(line).not.toMatch(controls);
    },
  );

  it("cannot take the place of a line's own parts or of its context", () => {
    const { logger, lines, records } = open();
    logger
      .child({ requestId: "real" })
      .info({ level: "fatal", time: "never", message: "forged", requestId: "forged" }, "real");
    expect(records()[0]).toMatchObject({
      level: "info",
      message: "real",
      requestId: "real",
      field_requestId: "forged",
      field_level: "fatal",
    });
    expect(lines()[0]?.match(/"message":/g)).toHaveLength(1);
    expect(lines()[0]?.match(/"requestId":/g)).toHaveLength(1);
  });

  it("cannot be done through a message: in a text line no name stands before `=` but that of a field", () => {
    const { logger, lines } = open({ format: "text" });
    for (const message of [
      "x user=root",
      'x" user="root',
      'x\\" user=root',
      '"x',
      "a=b",
      "a\nb=c",
      "",
    ])
      logger.info({ port: 80 }, message);
    expect(lines().map((line) => line.slice(line.indexOf("INFO ") + 6))).toEqual([
      '"x user=root" port=80',
      '"x\\" user=\\"root" port=80',
      '"x\\\\\\" user=root" port=80',
      '"\\"x" port=80',
      '"a=b" port=80',
      '"a\\nb=c" port=80',
      " port=80",
    ]);
  });

  it("shows no character that cannot be seen", () => {
    const { logger, lines, records } = open();
    const unseen = "a\u00adb\u2060c\u180ed\u{e0041}e\ufff9f";
    logger.info({ unseen }, unseen);
    expect(lines()[0]).not.toMatch(/\p{Cf}/u);
    expect(records()[0]).toMatchObject({ message: unseen, unseen });
  });

  it("keeps any text in one line that reads back as it was", () => {
    const { logger, lines, records } = open({ redaction: false });
    fastCheck.assert(
      fastCheck.property(fastCheck.string({ unit: "binary", maxLength: 200 }), (value) => {
        const before = lines().length;
        logger.info({ value }, "text");
        expect(lines()).toHaveLength(before + 1);
        expect(records()[before]?.["value"]).toBe(value);
      }),
    );
  });
});

describe("faults", () => {
  it("of the file never stop the program, are counted, said once, and leave a mark where lines are missing", () => {
    const path = join(folder, "candor.log");
    mkdirSync(path);
    const { logger, lines } = open({ file: true, console: false });
    logger.info("lost 1");
    logger.info("lost 2");
    expect(logger.faults()).toMatchObject({
      count: 2,
      linesLost: 2,
      failing: true,
      last: { target: "file", message: expect.stringContaining("EISDIR") },
    });
    expect(lines()).toHaveLength(1);
    expect(lines()[0]).toContain("the log file cannot be written: EISDIR");
    rmSync(path, { recursive: true });
    logger.info("kept");
    expect(logger.faults()).toMatchObject({ count: 2, linesLost: 2, failing: false });
    const kept = readFileSync(path, "utf8").trimEnd().split("\n");
    expect(kept).toHaveLength(2);
    expect(kept[0]).toContain("2 log lines are missing here");
    expect(kept[1]).toContain('"kept"');
  });

  it("of the console do not end the process", async () => {
    const { logger, stream } = open();
    stream.destroy(new Error("EPIPE: the reader is gone"));
    await new Promise((resolve) => setImmediate(resolve));
    logger.info("to nobody");
    await new Promise((resolve) => setImmediate(resolve));
    expect(logger.faults()).toMatchObject({ failing: false, last: { target: "console" } });
    expect(logger.faults().count).toBeGreaterThan(0);
  });

  it("of the console are heard by one listener, however many loggers there were", async () => {
    const stream = new PassThrough();
    const loggers = Array.from({ length: 30 }, () => open({ stream }).logger);
    for (const logger of loggers.slice(1)) logger.close();
    expect(stream.listenerCount("error")).toBe(1);
    loggers[0]?.close();
    const last = open({ stream }).logger;
    stream.destroy(new Error("EPIPE: the reader is gone"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(last.faults().count).toBe(1);
    expect(loggers[0]?.faults().count).toBe(0);
  });

  it("of a field that cannot be read leave the message", () => {
    const { logger, records } = open();
    const fields = Object.defineProperty({}, "bad", {
      enumerable: true,
      get: () => {
        throw new Error("no");
      },
    });
    logger.info(fields, "still said");
    const circular: Record<string, unknown> = { big: 10n, none: undefined, run: () => 1 };
    circular["self"] = circular;
    logger.info({ circular }, "circular");
    expect(records().map(({ message }) => message)).toEqual(["still said", "circular"]);
    expect(logger.faults()).toMatchObject({
      count: 1,
      linesLost: 0,
      last: { target: "record", message: "no" },
    });
  });

  it("never throws for a thrown value of any kind", () => {
    const { logger, lines } = open();
    for (const thrown of [
      null,
      undefined,
      0,
      "",
      Symbol("s"),
      () => 1,
      new CandorError(new DefectError("d").definition, "x"),
      [],
    ])
      logger.failure(thrown);
    expect(lines()).toHaveLength(8);
  });
});

it("writes text lines for people", () => {
  const { logger, lines } = open({ format: "text" });
  logger.warn({ port: 80, "odd name": 'a "b"' }, 'port "80" is busy');
  expect(lines()[0]).toMatch(/^\S+Z WARN {2}port "80" is busy port=80 "odd name"="a \\"b\\""$/);
});

it("appends to what an earlier run wrote", () => {
  writeFileSync(join(folder, "candor.log"), "earlier\n", { mode: 0o644 });
  const { logger } = open({ file: true });
  logger.info("later");
  expect(readFileSync(join(folder, "candor.log"), "utf8")).toMatch(/^earlier\n.*later/);
  expect(statSync(join(folder, "candor.log")).mode & 0o777).toBe(0o600);
});
