import { expect, test } from "vitest";
import { operations } from "#operations/index.ts";
import type { Job } from "#base/jobs/index.ts";
import { progressLine } from "./follow-job.ts";
import { renderAnswer } from "./render-answer.ts";
import { renderFailure, renderJob } from "./render-outcome.ts";
import { buildCommands } from "./commands.ts";
import type { Output } from "./terminal.ts";

const plain: Output = {
  isTerminal: false,
  columns: null,
  stream: process.stdout,
  line: () => {},
  style: (_, text) => text,
};

function render(name: string, answer: object): string {
  const operation = operations.find((each) => each.name === name);
  if (!operation) throw new Error(`no operation ${name}`);
  return renderAnswer(operation, { ...answer }, plain);
}

test("a list is a table of its own columns, and says how to go on", () => {
  const item = { outcome: "failed", attempt: 1, ledgerId: null, item: "a\u001bb", reason: "x\ny" };
  expect(render("jobs.items", { items: [item], nextCursor: "c", total: null })).toBe(
    [
      "outcome  attempt  ledger id  item  reason",
      "failed   1        -          a␛b   x y",
      "more: add --cursor c",
    ].join("\n"),
  );
  expect(render("jobs.items", { items: [], nextCursor: null, total: 0 })).toBe("nothing");
});

test("several things of the same fields inside an answer are a table", () => {
  const one = { kind: "logs", bytes: 1500, files: 2, reason: null };
  const other = { kind: "backups", bytes: null, files: null, reason: "gone" };
  expect(render("storage.usage", { kinds: [one, other] })).toBe(
    [
      "kinds",
      "  kind     bytes   files  reason",
      "  logs     1.5 kB  2      -",
      "  backups  -       -      gone",
    ].join("\n"),
  );
});

test("an object is its names and values; what the door adds is left out, unknown is a dash", () => {
  const answer = {
    revokedAt: null,
    memoryBytes: 1500,
    ratio: 0.123456,
    yes: true,
    inner: { a: 1, b: "" },
    deep: { list: [{ x: 1, y: { z: [1, 2] } }] },
    requestId: "r",
    tookMs: 1,
  };
  expect(render("keys.revoke", answer)).toBe(
    [
      "revoked  -",
      "memory   1.5 kB",
      "ratio    0.1235",
      "yes      yes",
      "inner    a 1, b -",
      "deep",
      "  list",
      "    x  1",
      "    y",
      "      z  1, 2",
    ].join("\n"),
  );
});

test("health shows each part with its state, time, finding and next step", () => {
  const check = { state: "failed", latencyMs: 12.3, checkedAt: new Date().toISOString() };
  const checks = [
    { name: "disk", ...check, detail: "full", nextStep: { text: "free some" } },
    { name: "workers", state: "unknown", latencyMs: null, checkedAt: null, detail: "not used" },
  ];
  expect(render("system.health", { status: "failed", version: "1.0.0", checks })).toBe(
    [
      "failed    disk        12 ms  full",
      "                             next step: free some",
      "unknown   workers         -  not used",
      "Candor 1.0.0 is failed",
    ].join("\n"),
  );
});

const job = {
  id: "job_1",
  state: "running",
  phase: "indexing",
  unit: "files",
  total: 240,
  done: 118,
  failed: 2,
  skipped: 0,
  rate: 24.31,
  etaSeconds: 5,
  startedAt: "2026-01-01T00:00:00.000Z",
  finishedAt: "2026-01-01T00:00:02.500Z",
  result: null,
} as unknown as Job;

test("progress is the job's own figures, and what is not known is not made up", () => {
  expect(progressLine(job, null)).toBe(
    "indexing: 50 % · 120/240 files · 24.3/s · 5 s left · 2 failed",
  );
  const unknown = { ...job, total: null, rate: null, etaSeconds: null, failed: 0 };
  expect(progressLine(unknown, null)).toBe("indexing: 118 files · time left unknown");
});

test("the end of a job shows what its result counted and why items were skipped", () => {
  const skipped = [
    { key: "a.bin", reason: "binary" },
    { key: "b.bin", reason: "binary" },
  ];
  const result = { added: 3, failed: 0, skipped, skippedCount: 5 };
  expect(renderJob({ ...job, state: "succeeded", result }, plain)).toBe(
    [
      "succeeded: 3 added, 0 failed, 5 skipped · 2.5 s",
      "skipped: a.bin and 1 more: binary",
      "skipped: 3 more are not listed here: candor jobs items job_1 --outcome skipped",
      "job job_1",
    ].join("\n"),
  );
});

test("an error names the field as it was typed, the next step and the ledger entry", () => {
  const search = buildCommands(operations).find(({ words }) => words[0] === "search") ?? null;
  const problem = {
    type: "",
    title: "A field is wrong",
    status: 422,
    detail: "long text",
    instance: "urn:candor:led_1",
    code: "input_invalid",
    severity: "low" as const,
    retryable: false,
    errors: [{ pointer: "/collections/0", message: "is unknown", valid: ["a", "b"] }],
    nextStep: { text: "look" },
    requestId: null,
  };
  expect(renderFailure(problem, search, plain)).toBe(
    [
      "error (input_invalid): A field is wrong",
      "  --collection: is unknown; valid: a, b",
      "next step: look",
      "ledger entry: led_1",
    ].join("\n"),
  );
  expect(renderFailure(problem, null, plain)).toContain("error (input_invalid): long text");
});
