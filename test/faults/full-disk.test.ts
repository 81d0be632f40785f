import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { writeFiles } from "../cli/run-candor.ts";
import {
  closeWorkplaces,
  endOf,
  followItems,
  openWorkplace,
  type Server,
  startSync,
  sync,
  type Workplace,
} from "./start-server.ts";
import { missingTracer, trace } from "./nth-call/run-with-fault.ts";

afterEach(closeWorkplaces);

const model = fileURLToPath(new URL("../fixtures/static-16", import.meta.url));

/** Whether this user may mount a small file system; without it the tests that need one are skipped. */
const mayMount = ((): boolean => {
  const place = mkdtempSync(join(tmpdir(), "candor-mount-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "tmpfs", place]).status === 0;
  if (mounted) execFileSync("umount", [place]);
  rmdirSync(place);
  return mounted;
})();

type Disk = { readonly home: string; readonly environment: Record<string, string> };

/** A data directory on a file system of its own. */
function mountDisk(workplace: Workplace, megabytes: number): Disk {
  const home = join(workplace.folder, "disk");
  mkdirSync(home);
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", home]);
  workplace.atEnd(() => execFileSync("umount", [home]));
  return { home, environment: { CANDOR_HOME: home, CANDOR_MODELS_STATIC: model } };
}

/** Takes the last byte of the disk; returns how to give it back. */
function fill({ home }: Disk): () => void {
  const path = join(home, "filler");
  const file = openSync(path, "w");
  let size = 2 ** 20;
  while (size >= 1)
    try {
      writeSync(file, Buffer.alloc(size));
    } catch (thrown) {
      if (!(thrown instanceof Error && "code" in thrown && thrown.code === "ENOSPC")) throw thrown;
      size = Math.floor(size / 2);
    }
  closeSync(file);
  return () => rmSync(path);
}

const texts = (count: number, name: string) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, number) => [
      `${number}.md`,
      `${name}${number} and water.\n\n`.repeat(5),
    ]),
  );

async function countDocuments(server: Server): Promise<number> {
  const { body } = await server.ask("GET", "/collections/notes");
  return (body["counts"] as { documents: number }).documents;
}

/** A write of every kind, each with what answers it when there is space. */
const writes: readonly (readonly [method: string, path: string, body: object, status: number])[] = [
  ["POST", "/collections", { name: "more" }, 201],
  ["PATCH", "/collections/notes", { description: "More." }, 200],
  ["POST", "/collections/notes/documents", { key: "late.md", content: "The late moon." }, 201],
  [
    "POST",
    "/collections/notes/documents/batch",
    { documents: [{ key: "batch.md", content: "The late sun." }] },
    202,
  ],
  ["POST", "/keys", { name: "late", role: "read_only" }, 201],
  ["PATCH", "/settings", { values: { "logging.level": "debug" } }, 200],
];

describe.skipIf(!mayMount)("a full disk (needs the right to mount)", () => {
  test(
    "refuses every write with 507 while reads and searches go on; freed, it takes them again",
    { timeout: 120_000 },
    async () => {
      const workplace = await openWorkplace();
      const disk = mountDisk(workplace, 16);
      const server = await workplace.serve(disk.environment);
      await server.ask("POST", "/collections", { name: "notes" });
      const folder = join(workplace.folder, "texts");
      await writeFiles(folder, texts(20, "first"));
      expect(await sync(server, "notes", folder)).toMatchObject({ state: "succeeded", done: 20 });

      const free = fill(disk);
      const sync20 = ["POST", "/collections/notes/sync", { path: folder }, 202] as const;
      for (const [method, path, body] of [...writes, sync20, ...writes, sync20]) {
        const answer = await server.ask(method, path, body);
        expect([path, answer]).toMatchObject([
          path,
          { status: 507, body: { code: "disk_full", retryable: true } },
        ]);
        expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
        const { neededBytes, freeBytes } = answer.body["details"] as Record<string, number>;
        expect([path, neededBytes]).toEqual([path, expect.any(Number)]);
        expect(neededBytes).toBeGreaterThan(freeBytes ?? Infinity);
      }
      const deleted = await server.ask("DELETE", "/collections/notes/documents/3.md");
      expect(deleted).toMatchObject({ status: 507, body: { code: "disk_full" } });
      const query = { query: "water", collections: ["notes"] };
      const found = await server.ask("POST", "/search", query);
      expect(found).toMatchObject({ status: 200, body: { searched: { documents: 20 } } });
      expect(found.body).not.toHaveProperty("notices");
      for (const path of [
        "/collections/notes/documents/3.md",
        "/collections",
        "/keys",
        "/settings",
      ])
        expect([path, await server.ask("GET", path)]).toMatchObject([path, { status: 200 }]);
      const health = await server.ask("GET", "/../../health");
      expect(health).toMatchObject({ status: 503, body: { status: "failed" } });
      expect(health.body["checks"]).toContainEqual(
        expect.objectContaining({ name: "disk", state: "failed" }),
      );

      free();
      for (const [method, path, body, status] of [...writes, sync20]) {
        const answer = await server.ask(method, path, body);
        expect([path, answer]).toMatchObject([path, { status }]);
      }
      expect((await sync(server, "notes", folder)).state).toBe("succeeded");
      expect(await countDocuments(server)).toBe(22);
      await server.kill();
      const again = await workplace.serve(disk.environment);
      expect(await countDocuments(again)).toBe(22);
    },
  );

  test(
    "met in the middle of a sync costs no file: it goes on when there is space",
    { timeout: 120_000 },
    async () => {
      const workplace = await openWorkplace();
      const disk = mountDisk(workplace, 24);
      const server = await workplace.serve(disk.environment);
      await server.ask("POST", "/collections", { name: "notes" });
      const folder = join(workplace.folder, "texts");
      await writeFiles(folder, texts(400, "second"));
      const job = await startSync(server, "notes", folder);
      await followItems(server, job, 20);
      const free = fill(disk);
      // The write-ahead log may have room of its own for a while.
      const refused = await firstRefusal(server);
      expect(refused).toMatchObject({ status: 507 });
      const told = await countDocuments(server);
      expect(told).toBeGreaterThanOrEqual(20);
      expect(told).toBeLessThan(400);
      free();
      const ended = await endOf(server, job);
      if (ended.state !== "succeeded") {
        expect(ended).toMatchObject({ error: { code: "disk_full" } });
        const resumed = await server.ask("POST", `/jobs/${job}/resume?wait=true`);
        expect(resumed.body["job"]).toMatchObject({ state: "succeeded" });
      }
      expect(await countDocuments(server)).toBe(400);
    },
  );
});

/** Writes until a write is not taken any more, at most a thousand times. */
async function firstRefusal(server: Server) {
  for (let at = 0; ; at += 1) {
    const answer = await server.ask("POST", "/collections", { name: `more-${at}` });
    if (answer.status !== 201 || at === 1000) return answer;
  }
}

describe.skipIf(!mayMount)("a data directory that cannot be written", () => {
  test(
    "is named with the reason and the next step, by the server and by a command",
    { timeout: 120_000 },
    async () => {
      const workplace = await openWorkplace();
      const disk = mountDisk(workplace, 8);
      const made = await workplace.candor(["collections", "create", "notes"], disk.environment);
      expect(made.code).toBe(0);
      execFileSync("mount", ["-o", "remount,ro", disk.home]);
      for (const words of [["serve", "--port", "0"], ["collections"]]) {
        const { code, stderr, stdout } = await workplace.candor(words, disk.environment);
        expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
        expect(stderr).toMatch(/error \(data_directory_unusable\): .*read-only file system/);
        expect(stderr).toContain("CANDOR_HOME");
      }
      execFileSync("mount", ["-o", "remount,rw", disk.home]);
      const { code, stdout } = await workplace.candor(["collections"], disk.environment);
      expect(code).toBe(0);
      expect(stdout).toContain("notes");
    },
  );
});

const untraceable = missingTracer();

describe.skipIf(untraceable !== null)(
  `a disk that fails an fsync${untraceable === null ? "" : `: ${untraceable}`}`,
  () => {
    test(
      "leaves the store read-only: nothing is acknowledged any more, reads go on, a restart has all",
      { timeout: 120_000 },
      async () => {
        const workplace = await openWorkplace();
        const environment = { CANDOR_MODELS_STATIC: model };
        const server = await workplace.serve(environment);
        await server.ask("POST", "/collections", { name: "notes" });
        const add = (key: string) =>
          server.ask("POST", "/collections/notes/documents", { key, content: `Water of ${key}.` });
        expect(await add("kept.md")).toMatchObject({ status: 201 });
        const tracer = await trace(
          Number(server.child.pid),
          join(workplace.folder, "calls"),
          { calls: "fsync,fdatasync", error: "EIO" },
          "1",
        );
        expect(await add("first.md")).toMatchObject({
          status: 503,
          body: { code: "database_unavailable" },
        });
        await tracer.stop();
        // The disk answers again, but what it dropped meanwhile is not known.
        for (const key of ["second.md", "third.md"])
          expect(await add(key)).toMatchObject({
            status: 503,
            body: { code: "database_read_only" },
          });
        const read = await server.ask("GET", "/collections/notes/documents/kept.md");
        expect(read).toMatchObject({ status: 200 });
        const health = await server.ask("GET", "/../../health");
        expect(health.body["checks"]).toContainEqual(
          expect.objectContaining({
            name: "database",
            state: "failed",
            detail: expect.stringContaining("takes no more writes"),
          }),
        );
        await server.stop();
        const again = await workplace.serve(environment);
        const { body } = await again.ask("GET", "/collections/notes/documents");
        expect((body["items"] as { key: string }[]).map(({ key }) => key)).toEqual(["kept.md"]);
        const ledger = await again.ask("GET", "/ledger?code=database_unavailable");
        expect(ledger.body["items"]).not.toEqual([]);
      },
    );
  },
);
