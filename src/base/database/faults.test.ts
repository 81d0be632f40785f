import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { freshFolder } from "../../../test/fixtures/rooms/open-rooms.ts";
import { openSqlite } from "./index.ts";

const fixture = (name: string) =>
  fileURLToPath(new URL(`../../../test/fixtures/rooms/${name}`, import.meta.url));
const isRoot = process.getuid?.() === 0;

/** A file system of two megabytes, or null where this process may not mount one. */
function smallDisk(): string | null {
  if (!isRoot || process.platform !== "linux") return null;
  const folder = mkdtempSync(join(tmpdir(), "candor-disk-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]);
  onTestFinished(() => {
    if (mounted.status === 0) execFileSync("umount", ["-l", folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return mounted.status === 0 ? folder : null;
}

function hasStrace(): boolean {
  return spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0;
}

describe("kill -9", () => {
  it("loses nothing that was acknowledged", { timeout: 120_000 }, async () => {
    const folder = freshFolder(onTestFinished);
    const acknowledged = new Set<string>();
    for (let round = 0; round < 8; round += 1) {
      const child = spawn(
        process.execPath,
        [fixture("write-until-killed.ts"), folder, String(round * 1_000_000)],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      // The parent keeps the acknowledgements; a torn last line was not acknowledged.
      let text = "";
      let wanted = 0;
      child.stdout.on("data", (bytes) => {
        text += String(bytes);
        wanted += 1;
        if (wanted === 5 + round * 7) child.kill("SIGKILL");
      });
      await once(child, "close");
      for (const number of text.split("\n").slice(0, -1)) acknowledged.add(`n${number}`);
    }
    expect(acknowledged.size).toBeGreaterThan(100);
    const database = new DatabaseSync(join(folder, "candor.sqlite"));
    onTestFinished(() => database.close());
    expect(database.prepare("pragma integrity_check").get()).toEqual({ integrity_check: "ok" });
    const kept = new Set(
      database
        .prepare("select hash from sessions")
        .all()
        .map(({ hash }) => String(hash)),
    );
    expect([...acknowledged].filter((hash) => !kept.has(hash))).toEqual([]);
  });
});

describe("a full disk", () => {
  it("answers 507 to writes, goes on reading, and writes again once there is space", async (test) => {
    const folder = smallDisk();
    if (folder === null) return test.skip("needs root and mount to make a small file system");
    const faults: string[] = [];
    const database = await openSqlite({
      path: join(folder, "candor.sqlite"),
      backups: join(folder, "backups"),
      onFault: ({ code }) => faults.push(code),
    });
    onTestFinished(() => database.close());
    const { bavail, bsize } = statfsSync(folder);
    writeFileSync(join(folder, "ballast"), Buffer.alloc(bavail * bsize - 400_000));
    const write = (hash: string) =>
      database.write(({ tables }) =>
        tables
          .insertInto("sessions")
          .values({ hash, principal_id: "x".repeat(20_000), created_at: 1, expires_at: 2 })
          .execute(),
      );
    const kept: string[] = [];
    let refusal: unknown;
    for (let number = 0; number < 100 && refusal === undefined; number += 1)
      await write(`n${number}`).then(
        () => kept.push(`n${number}`),
        (thrown: unknown) => (refusal = thrown),
      );
    expect(refusal).toMatchObject({ code: "disk_full", status: 507, retryable: true });
    expect(kept.length).toBeGreaterThan(2);
    const hashes = async () =>
      (await database.read.selectFrom("sessions").select("hash").execute()).map(({ hash }) => hash);
    expect((await hashes()).sort()).toEqual([...kept].sort());
    await expect(write("again")).rejects.toMatchObject({ code: "disk_full" });
    expect(database.health().state).toBe("ok");
    rmSync(join(folder, "ballast"));
    await write("after");
    expect((await hashes()).sort()).toEqual([...kept, "after"].sort());
    expect(faults).toEqual([]);
  });
});

describe("a place that may not be written", () => {
  it("is refused with the reason", async (test) => {
    const folder = isRoot ? smallDisk() : freshFolder(onTestFinished);
    if (folder === null) return test.skip("root needs mount to make a read-only file system");
    const options = {
      path: join(folder, "candor.sqlite"),
      backups: join(folder, "backups"),
      onFault: () => {},
    };
    await (await openSqlite(options)).close();
    // Permissions do not bind root, a read-only file system does.
    if (isRoot) execFileSync("mount", ["-o", "remount,ro", folder]);
    else {
      chmodSync(options.path, 0o400);
      chmodSync(folder, 0o500);
      onTestFinished(() => chmodSync(folder, 0o700));
    }
    const write = async () => {
      const database = await openSqlite(options);
      onTestFinished(() => database.close());
      return database.write(({ tables }) => tables.deleteFrom("sessions").execute());
    };
    await expect(write()).rejects.toMatchObject({
      status: 503,
      code: expect.stringMatching(/^database_(?:read_only|unavailable)$/),
      message: expect.stringContaining(folder),
    });
  });
});

describe("an fsync that fails", () => {
  it("is not tried again: the store takes no more writes, says so, and reads go on", async (test) => {
    if (!hasStrace()) return test.skip("needs strace and the right to trace");
    const folder = freshFolder(onTestFinished);
    // The first writes may pass, so that there is something to read; then every fsync of the process fails.
    const child = spawn(
      "strace",
      [
        "-f",
        "-o",
        "/dev/null",
        "-e",
        "trace=fsync,fdatasync",
        "-e",
        "inject=fsync,fdatasync:error=EIO:when=12+",
        process.execPath,
        fixture("insert-one-by-one.ts"),
        folder,
        "30",
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    let text = "";
    child.stdout.on("data", (bytes) => (text += String(bytes)));
    await once(child, "close");
    const { answers, rows, health } = JSON.parse(text.replace(/^opened\n/, "")) as {
      answers: string[];
      rows: string[];
      health: { state: string; reason: string };
    };
    expect(answers[0]).toBe("kept 0");
    const first = answers.findIndex((answer) => !answer.startsWith("kept"));
    expect(first).toBeGreaterThan(0);
    expect(answers.slice(first, first + 2)).toEqual([
      "fault database_unavailable",
      `refused ${first} database_unavailable`,
    ]);
    // Everything behind it is refused without touching the disk.
    expect(answers.slice(first + 2).map((answer) => answer.split(" ").at(-1))).toEqual(
      Array.from({ length: 30 - first - 1 }, () => "database_read_only"),
    );
    expect(health.state).toBe("read_only");
    expect(rows.slice().sort()).toEqual(
      Array.from({ length: first }, (_, number) => `n${number}`).sort(),
    );
  });
});
