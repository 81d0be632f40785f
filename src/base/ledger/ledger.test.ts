import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { DiskFullError, FileUnreadableError, InputInvalidError } from "#base/errors/index.ts";
import { freshFolder, openRooms, type Rooms } from "../../../test/fixtures/rooms/open-rooms.ts";
import { fallbackPath } from "./fallback-file.ts";

async function open(folder = freshFolder(onTestFinished)): Promise<Rooms> {
  const rooms = await openRooms(folder);
  onTestFinished(() => rooms.close());
  return rooms;
}

const unreadable = (name: string) => new FileUnreadableError(`${name} cannot be read`);
const newlyMade = (name: string) => new DiskFullError(`${name} could not be written`);

describe("recording", () => {
  it("keeps what happened, where, and for whom", async () => {
    const { ledger } = await open();
    const cause = new TypeError("offset is not a number");
    const id = await ledger.record(
      new FileUnreadableError("a.pdf cannot be read", { cause, details: { page: 3 } }),
      {
        item: "a.pdf",
        jobId: "job_1",
        correlationId: "r1",
        principal: "key_1",
        operation: "collections.sync",
        method: "POST",
        endpoint: "/api/v1/collections/x/sync",
        facts: { attempt: 2 },
      },
    );
    const entry = await ledger.get(id);
    expect(entry).toMatchObject({
      id,
      runId: ledger.runId,
      severity: "medium",
      category: "file_system",
      code: "file_unreadable",
      type: "FileUnreadableError",
      message: "a.pdf cannot be read",
      context: { attempt: 2, details: { page: 3 } },
      item: "a.pdf",
      jobId: "job_1",
      correlationId: "r1",
      principal: "key_1",
      operation: "collections.sync",
      method: "POST",
      endpoint: "/api/v1/collections/x/sync",
      source: { file: "src/base/ledger/ledger.test.ts", line: expect.any(Number) },
      unexpected: false,
      resolved: false,
      resolution: null,
    });
    expect(id).toMatch(/^led_[0-9A-Z]{26}$/);
    expect(entry.stack).toContain("caused by: TypeError: offset is not a number");
    expect(new Date(entry.time).toISOString()).toBe(entry.time);
  });

  it("takes anything that can be thrown, and tells the unexpected apart", async () => {
    const { ledger } = await open();
    for (const thrown of [
      "text",
      7,
      null,
      undefined,
      Object.create(null),
      Symbol("s"),
      new RangeError("r"),
    ]) {
      const entry = await ledger.get(await ledger.record(thrown));
      expect(entry).toMatchObject({ code: "defect", unexpected: true, severity: "high" });
    }
    const broken = new InputInvalidError("x", { details: { at: new Date(Number.NaN), n: 1n } });
    expect((await ledger.get(await ledger.record(broken))).unexpected).toBe(false);
  });

  it("loses nothing and tears nothing with many writers at once", async () => {
    const { ledger } = await open();
    const ids = await Promise.all(
      Array.from({ length: 500 }, (_, number) =>
        ledger.record(unreadable(`f${number}`), { item: `f${number}` }),
      ),
    );
    expect(new Set(ids).size).toBe(500);
    const { errors, statistics } = await ledger.run(ledger.runId);
    expect(new Set(errors.map(({ item }) => item))).toEqual(
      new Set(Array.from({ length: 500 }, (_, number) => `f${number}`)),
    );
    expect(statistics).toEqual({
      totalErrors: 500,
      bySeverity: { medium: 500 },
      byCategory: { file_system: 500 },
      resolvedCount: 0,
    });
  });
});

describe("looking", () => {
  it("filters, pages, and puts the newest last", async () => {
    const { ledger } = await open();
    const ids: string[] = [];
    for (let number = 0; number < 5; number += 1) {
      ids.push(await ledger.record(unreadable("x"), { jobId: "job_1" }));
      ids.push(await ledger.record(newlyMade("y")));
    }
    const listed = async (filter: object) =>
      (await ledger.list({ limit: 100, ...filter })).map(({ id }) => id);
    expect(await listed({})).toEqual(ids);
    const even = ids.filter((_, place) => place % 2 === 0);
    const odd = ids.filter((_, place) => place % 2 === 1);
    expect(await listed({ code: "file_unreadable" })).toEqual(even);
    expect(await listed({ severity: "critical" })).toEqual(odd);
    expect(await listed({ category: "file_system", job: "job_1" })).toEqual(even);
    expect(await listed({ run: "none" })).toEqual([]);
    expect(await listed({ after: ids[6], limit: 2 })).toEqual(ids.slice(7, 9));
    await expect(ledger.get("led_none")).rejects.toMatchObject({ code: "not_found" });
    await expect(ledger.run("none")).rejects.toMatchObject({ code: "not_found" });
  });

  it("groups by fingerprint, resolves, and knows a regression", async () => {
    const { ledger } = await open();
    const again = async () => ledger.record(unreadable("same place"));
    const other = await ledger.record(newlyMade("elsewhere"));
    const first = await again();
    const second = await again();
    const groups = await ledger.groups({ limit: 10 });
    expect(groups.map(({ code, count, latest }) => ({ code, count, latest }))).toEqual([
      { code: "file_unreadable", count: 2, latest: second },
      { code: "disk_full", count: 1, latest: other },
    ]);
    const [newest] = groups;
    expect(await ledger.groups({ limit: 10, before: newest?.latest })).toEqual(groups.slice(1));

    const one = await ledger.resolve(first, "local", "fixed, password=hunter2000", "entry");
    expect(one).toMatchObject({
      resolved: true,
      resolution: { by: "local", notes: "fixed, password=[redacted]" },
    });
    expect((await ledger.get(second)).resolved).toBe(false);
    await ledger.resolve(first, "local", "really fixed", "group");
    expect((await ledger.get(second)).resolved).toBe(true);
    expect(await ledger.groups({ limit: 10, resolved: true })).toMatchObject([
      { latest: second, regressed: false },
    ]);
    const third = await again();
    expect(await ledger.groups({ limit: 10, resolved: false })).toMatchObject([
      { latest: third, regressed: true, resolved: false, count: 3 },
      { latest: other, regressed: false },
    ]);
    expect((await ledger.list({ limit: 10, resolved: true })).map(({ id }) => id)).toEqual([
      first,
      second,
    ]);
    await expect(ledger.resolve("led_none", "local", "x", "entry")).rejects.toMatchObject({
      code: "not_found",
    });
  });
});

describe("secrets", () => {
  it("that pass through an error are nowhere: not in rows, files, reports or logs", async () => {
    const { ledger, home } = await open();
    const canary = "candor_CANARYcanaryCANARYcanaryCANARYcanary";
    const cause = new Error(`upstream said ${canary}`);
    await ledger.record(
      new FileUnreadableError(`cannot open /data/${canary}/x with password=${canary}`, {
        cause,
        details: {
          headers: { Authorization: `Bearer ${canary}`, cookie: canary },
          list: [{ [canary]: canary }],
        },
      }),
      {
        item: `https://user:${canary}@host/path`,
        correlationId: canary,
        endpoint: `/api/v1/x?token=${canary}`,
        facts: { request: { body: { clientSecret: canary, text: `see ${canary}` } }, error: cause },
      },
    );
    await ledger.record(`thrown ${canary}`);
    const report = await ledger.report(ledger.runId);
    const entries = JSON.stringify(await ledger.list({ limit: 10 }));
    await ledger.end();
    const texts = [home.artifacts, home.logs]
      .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
      .map((path) => readFileSync(path, "latin1"));
    const bytes = readFileSync(join(home.home, "candor.sqlite-wal"), "latin1");
    expect(texts.length).toBeGreaterThanOrEqual(2);
    for (const text of [report, entries, bytes, ...texts]) {
      expect(text).not.toMatch(/CANARY/i);
      expect(text.length).toBeGreaterThan(100);
    }
  });
});

describe("the file of a run", () => {
  it("has the shape of the requirements, with statistics counted from its entries", async () => {
    const { ledger, home } = await open();
    const id = await ledger.record(unreadable("a"), { item: "a", endpoint: "/x", method: "GET" });
    await ledger.resolve(id, "local", "gone", "entry");
    await ledger.record(newlyMade("b"), { principal: "key_1", correlationId: "r" });
    await ledger.end();
    expect(ledger.runId).toMatch(/^\d{8}_\d{6}_[0-9a-f]{8}$/);
    const path = join(home.artifacts, `error-ledger-${ledger.runId}.json`);
    const file = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    const entry = {
      error_id: expect.stringMatching(/^led_/),
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      severity: "medium",
      category: "file_system",
      error_code: "file_unreadable",
      error_type: "FileUnreadableError",
      error_message: "a cannot be read",
      stack_trace: expect.stringContaining("ledger.test.ts"),
      context: {},
      item: "a",
      job_id: null,
      correlation_id: null,
      user_id: null,
      operation: null,
      endpoint: "/x",
      method: "GET",
      source_file: "src/base/ledger/ledger.test.ts",
      source_line: expect.any(Number),
      unexpected: false,
      fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
      resolved: true,
      resolution_notes: "gone",
    };
    expect(file).toEqual({
      metadata: {
        run_id: ledger.runId,
        started_at: expect.any(String),
        ended_at: expect.any(String),
        platform: `${process.platform}-${process.arch}`,
        runtime: `node ${process.version}, candor 0.0.0-test`,
        environment: "testing",
      },
      errors: [
        entry,
        {
          ...entry,
          severity: "critical",
          error_code: "disk_full",
          error_type: "DiskFullError",
          error_message: "b could not be written",
          item: null,
          endpoint: null,
          method: null,
          user_id: "key_1",
          correlation_id: "r",
          resolved: false,
          resolution_notes: null,
        },
      ],
      statistics: {
        total_errors: 2,
        by_severity: { medium: 1, critical: 1 },
        by_category: { file_system: 2 },
        resolved_count: 1,
      },
    });
    const report = await ledger.report(ledger.runId);
    expect(report).toContain("2 errors, 1 resolved; by severity: medium 1, critical 1");
    expect(report).toContain("a cannot be read");
  });

  it("of a run that was killed is written at the next start, which says that it was", async () => {
    const folder = freshFolder(onTestFinished);
    const child = spawn(
      process.execPath,
      [
        fileURLToPath(new URL("../../../test/fixtures/rooms/die-with-a-run.ts", import.meta.url)),
        folder,
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    const died = String(said).trim();
    child.kill("SIGKILL");
    await once(child, "close");
    const { ledger, home } = await open(folder);
    const file = JSON.parse(
      readFileSync(join(home.artifacts, `error-ledger-${died}.json`), "utf8"),
    ) as {
      metadata: { ended_at: unknown };
      errors: { item: string }[];
    };
    expect(file.metadata.ended_at).toBeNull();
    expect(file.errors.map(({ item }) => item)).toEqual(["f0", "f1", "f2"]);
    expect(await ledger.list({ limit: 10, code: "unclean_stop" })).toMatchObject([
      { runId: ledger.runId, context: { run: died } },
    ]);
    await ledger.end();
    const next = await open(folder);
    expect(await next.ledger.list({ limit: 10, code: "unclean_stop" })).toHaveLength(1);
  });
});

describe("a database that refuses", () => {
  it(
    "sends entries to a file, which health says and the next start takes in",
    { timeout: 60_000 },
    async () => {
      const folder = freshFolder(onTestFinished);
      const rooms = await open(folder);
      // An earlier entry was torn when the power went: what comes behind it must not be lost with it.
      writeFileSync(fallbackPath(rooms.home.artifacts), '{"id":"led_TORN","ru');
      const other = new DatabaseSync(join(folder, "candor.sqlite"));
      other.exec("begin immediate");
      const before = rooms.ledger.health();
      const ids = await Promise.all([
        rooms.ledger.record(unreadable("while locked"), { item: "a" }),
        rooms.ledger.record(unreadable("while locked too"), { item: "b" }),
      ]);
      other.exec("rollback");
      other.close();
      expect(before.state).toBe("ok");
      expect(rooms.ledger.health()).toMatchObject({
        state: "degraded",
        detail: expect.stringMatching(/^2 entries wait/),
      });
      expect(
        readFileSync(fallbackPath(rooms.home.artifacts), "utf8").trim().split(/\n+/),
      ).toHaveLength(3);
      await rooms.close();
      const next = await open(folder);
      for (const id of ids)
        expect(await next.ledger.get(id)).toMatchObject({ runId: rooms.ledger.runId });
      expect(readdirSync(next.home.artifacts)).not.toContain("ledger-fallback.ndjson");
      const file = readFileSync(
        join(next.home.artifacts, `error-ledger-${rooms.ledger.runId}.json`),
        "utf8",
      );
      for (const id of ids) expect(file).toContain(id);
    },
  );

  it("loses only torn lines of that file, sets them aside and says so", async () => {
    const folder = freshFolder(onTestFinished);
    const first = await open(folder);
    const id = await first.ledger.record(unreadable("a"));
    const row = await first.database.read
      .selectFrom("ledger_entries")
      .selectAll()
      .where("id", "=", id)
      .executeTakeFirstOrThrow();
    await first.close();
    const whole = JSON.stringify({ ...row, id: "led_WAITED" });
    const lines = ['{"id":"led_TORN","run', "1", "null", '{"id":"led_HALF"}', whole];
    writeFileSync(fallbackPath(first.home.artifacts), `${lines.join("\n")}\n`);
    const next = await open(folder);
    expect((await next.ledger.get("led_WAITED")).message).toBe("a cannot be read");
    const aside = readdirSync(next.home.artifacts).filter((name) => name.endsWith(".torn"));
    expect(aside).toHaveLength(1);
    expect(readFileSync(join(next.home.artifacts, aside[0] ?? ""), "utf8")).toContain("led_TORN");
    expect(readFileSync(join(next.home.logs, "candor.log"), "utf8")).toContain("are no entries");
  });

  it(
    "and a file that refuses too are still visible in health and the log",
    { timeout: 60_000 },
    async () => {
      const folder = freshFolder(onTestFinished);
      const rooms = await open(folder);
      const { mkdirSync } = await import("node:fs");
      mkdirSync(fallbackPath(rooms.home.artifacts));
      const other = new DatabaseSync(join(folder, "candor.sqlite"));
      other.exec("begin immediate");
      const id = await rooms.ledger.record(unreadable("lost"));
      other.exec("rollback");
      other.close();
      expect(rooms.ledger.health()).toEqual({
        state: "degraded",
        detail: "1 entries could not be kept",
      });
      expect(readFileSync(join(rooms.home.logs, "candor.log"), "utf8")).toContain(id);
      const { rmdirSync } = await import("node:fs");
      rmdirSync(fallbackPath(rooms.home.artifacts));

      // What waited in memory goes in with the next entry that the database takes.
      const next = await rooms.ledger.record(unreadable("kept"));
      expect((await rooms.ledger.get(id)).message).toBe("lost cannot be read");
      expect((await rooms.ledger.get(next)).message).toBe("kept cannot be read");
      expect(rooms.ledger.health().state).toBe("ok");
    },
  );
});
