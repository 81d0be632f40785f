import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { operations } from "#operations/index.ts";
import { makeHome, runCandor, startCandor, writeFiles, type Ended } from "./run-candor.ts";

let home: string;
let indexed: Ended;

beforeAll(async () => {
  home = await makeHome();
  await writeFiles(home, {
    "docs/restore.md":
      "# Backups\n\nA backup is made every night.\n\n## How to restore a backup\n\nStop the server, then copy the backup over the database file.\n",
    "docs/kitchen.md": "# Kitchen\n\nWash your cup. The coffee machine is cleaned on Fridays.\n",
    "docs/broken.md": Buffer.from([0xff, 0xfe, 0x41]),
    "extra/one.md": "# One\n\nSome text of its own about gardening.\n",
  });
  indexed = await runCandor(home, ["index", "docs", "--collection", "handbook"]);
});

test("a first index creates the collection, says so, counts, and ends partial when a file failed", () => {
  expect(indexed.code).toBe(4);
  expect(indexed.stdout).toMatch(/^partial: 2 added, .*1 failed/);
  expect(indexed.stderr).toContain('note: The collection "handbook" did not exist');
  expect(indexed.stderr).toMatch(/failed: broken\.md: .*\(led_/);
  expect(indexed.stderr).toMatch(/\d+\/3 files · /);
});

test("a search shows place, scores, freshness and no escape codes through a pipe", async () => {
  const { code, stdout, stderr } = await runCandor(home, [
    "search",
    "how do I restore a backup",
    "--collection",
    "handbook",
    "--why",
  ]);
  expect(code).toBe(0);
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^1\. restore\.md:5-7 {2}Backups\n {3}fused \d/);
  expect(stdout).toMatch(/semantic \d\.\d+ \(rank 1\) · keyword \d.* · current, indexed \d{4}-/);
  expect(stdout).toContain("meaning: cosine ");
  expect(stdout).not.toContain("\u001b");
});

test("--json prints the operation's output alone, and finding nothing is no failure", async () => {
  const { code, stdout } = await runCandor(home, ["search", "restore", "--json", "--limit", "1"]);
  expect(code).toBe(0);
  const { requestId, tookMs, ...output } = JSON.parse(stdout) as Record<string, unknown>;
  expect([typeof requestId, typeof tookMs]).toEqual(["string", "number"]);
  const search = operations.find(({ name }) => name === "search.query");
  expect(search?.output.parse(output)).toMatchObject({ items: [{ key: "restore.md" }] });
  const nothing = await runCandor(home, ["search", "zzyzx", "--mode", "keyword"]);
  expect(nothing).toMatchObject({ code: 0, stdout: expect.stringContaining("nothing found") });
});

test("what is wrong with the input names the option that was typed and ends with 2", async () => {
  const { code, stdout, stderr } = await runCandor(home, ["search", "x", "--limit", "1000"]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(/^error \(input_invalid\): .*\n {2}--limit: .*100/);
});

test("a failure ends with 1, its code and nothing on standard output", async () => {
  const missing = await runCandor(home, ["collections", "show", "nothing", "--json"]);
  expect(missing).toMatchObject({ code: 1, stdout: "" });
  expect(missing.stderr).toContain("error (not_found):");
  const noFolder = await runCandor(home, ["index", "gone", "--collection", "new"]);
  expect(noFolder).toMatchObject({ code: 1, stdout: "" });
  const list = await runCandor(home, ["collections", "--json"]);
  expect(list.stdout).not.toContain('"name":"new"');
});

test("several files are added as a bulk that counts what failed", async () => {
  const { code, stdout, stderr } = await runCandor(
    home,
    "add extra/one.md extra/gone.md --collection handbook --json".split(" "),
  );
  expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringContaining("file_missing") });
  expect(JSON.parse(stdout)).toMatchObject({
    done: 1,
    failed: 1,
    items: [{ key: "extra/one.md", outcome: "added" }],
    errors: [{ item: "extra/gone.md", code: "file_missing" }],
  });
});

test("a reader that has enough ends nothing and leaves no noise", async () => {
  const running = startCandor(home, ["operations", "--json"]);
  running.child.stdout?.destroy();
  expect(await running.ended).toMatchObject({ code: 0, stderr: "" });
});

test("doctor says each part, and config where each value is from", async () => {
  const doctor = await runCandor(home, ["doctor"]);
  expect(doctor.code).toBe(0);
  expect(doctor.stdout).toMatch(/^ok +database +[\d.]+ ms {2}/m);
  const config = await runCandor(home, ["config"], { LOG_LEVEL: "warn" });
  expect(config.stdout).toMatch(/^logging\.level +environment LOG_LEVEL +at run time +warn$/m);
  expect(config.stdout).toMatch(/^ +hides default +info$/m);
});

test("config check lists every fault without starting anything", async () => {
  const fresh = await makeHome();
  const wrong = { CANDOR_PORT: "99999", CANDOR_LOGGING_LEVEL: "loud" };
  const { code, stdout } = await runCandor(fresh, ["config", "check", "--json"], wrong);
  expect(code).toBe(1);
  const { faults } = JSON.parse(stdout) as { faults: { key: string; severity: string }[] };
  const keys = faults.filter(({ severity }) => severity === "fault").map(({ key }) => key);
  expect(keys.toSorted()).toEqual(["logging.level", "server.port"]);
  const refused = await runCandor(fresh, ["jobs"], wrong);
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("2 faults") });
  expect(existsSync(join(fresh, "data"))).toBe(false);
});
