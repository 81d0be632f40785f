import { mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { localPrincipal, type Principal } from "#base/access/index.ts";
import { operations, runOperation } from "#operations/index.ts";
import { freshFolder } from "./fixtures/rooms/open-rooms.ts";
import { type OpenApp, openAppOver } from "./fixtures/rooms/open-app-over.ts";
import type { Health } from "#workbench/overview/index.ts";
import { keyPrincipal } from "./fixtures/rooms/principals.ts";

async function open(): Promise<OpenApp> {
  const app = await openAppOver(freshFolder(onTestFinished));
  onTestFinished(() => app.close());
  return app;
}

async function run(app: OpenApp, name: string, principal: Principal | null): Promise<unknown> {
  const operation = operations.find((one) => one.name === name);
  if (!operation) throw new Error(`${name} is not in the table`);
  return (await runOperation(app, operation, {}, { principal })).output;
}

it("probes every part of a system that works, and tells nobody in particular only that it does", async () => {
  const app = await open();
  const health = (await run(app, "system.health", localPrincipal)) as Health;
  expect(health.checks.map(({ name, state }) => `${name} ${state}`)).toEqual([
    "node ok",
    "configuration ok",
    "dataDirectory ok",
    expect.stringMatching(/^disk (ok|degraded)$/),
    "database ok",
    "ledger ok",
    "jobs ok",
    "logFile ok",
    "defaultSpace ok",
    "search ok",
    expect.stringMatching(/^workers (ok|unknown)$/),
  ]);
  expect(health.version).toMatch(/^\d+\.\d+\.\d+/);
  const details = new Map(health.checks.map(({ name, detail }) => [name, detail]));
  expect(details.get("defaultSpace")).toMatch(/\(spc_[0-9A-Z]+\), 256 dims: embedded a word/);
  expect(details.get("database")).toContain("a write was made durable");
  expect(readdirSync(app.home.run).filter((name) => name.startsWith("health"))).toEqual([]);
  expect(await run(app, "system.health", null)).toEqual({ status: "ok" });
});

it("says failed, with the reason, when a part fails, and measures anew each time", async () => {
  const app = await open();
  await app.database.close();
  const health = await app.overview.health();
  expect(health.status).toBe("failed");
  expect(health.checks.find(({ name }) => name === "database")).toMatchObject({ state: "failed" });
  expect(health.checks.find(({ name }) => name === "dataDirectory")).toMatchObject({ state: "ok" });
  expect(await app.overview.alive()).toBe("failed");
});

it("notices entries that the ledger could not keep", async () => {
  const app = await open();
  mkdirSync(join(app.home.artifacts, "ledger-fallback.ndjson"));
  await app.database.close();
  await app.ledger.record(new Error("lost"));
  const { checks } = await app.overview.health();
  expect(checks.find(({ name }) => name === "ledger")).toMatchObject({
    state: "degraded",
    detail: expect.stringMatching(/^[1-9]\d* entries could not be kept$/),
  });
  rmdirSync(join(app.home.artifacts, "ledger-fallback.ndjson"));
});

it("describes the system and counts", async () => {
  const app = await open();
  const space = await app.embeddings.space();
  expect(await run(app, "system.info", localPrincipal)).toMatchObject({
    node: process.version,
    dataDirectory: app.home.home,
    environment: "development",
    runId: app.ledger.runId,
    runtimes: [{ name: "static", state: "ready" }],
    machine: { platform: process.platform, arch: process.arch, accelerators: [] },
    defaultSpace: { id: space.id, name: space.name },
  });
  expect(await run(app, "system.metrics", localPrincipal)).toMatchObject({
    windowSeconds: expect.any(Number),
    jobs: { queued: 0, running: 0 },
    counters: expect.arrayContaining([
      {
        name: "candor_operations_total",
        labels: { operation: "system.info", outcome: "ok" },
        value: 1,
      },
    ]),
  });
});

it("lists to each caller what it may run, with schemas", async () => {
  const app = await open();
  const names = async (role: Principal["role"]) => {
    const caller = keyPrincipal(role, role);
    const { items } = (await run(app, "operations.list", caller)) as {
      items: { name: string; input: object }[];
    };
    for (const { input } of items) expect(input).toMatchObject({ type: "object" });
    return items.map(({ name }) => name);
  };
  const all = operations.map(({ name }) => name);
  expect(await names("superadmin")).toEqual(all);
  const least = await names("read_only");
  expect(least).toContain("search.query");
  expect(least).toContain("signin.create");
  expect(least).not.toContain("settings.set");
  expect(least).not.toContain("jobs.list");
  expect(await names("developer")).not.toContain("settings.set");
});
