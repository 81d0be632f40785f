import { createConnection } from "node:net";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { localPrincipal, type Principal } from "#base/access/index.ts";
import type { Job } from "#base/jobs/index.ts";
import { operations, runOperation } from "#operations/index.ts";
import { openRealDoor, type RealDoor } from "../http/open-real-door.ts";

let door: RealDoor;
let root = "";
let writer: Principal;
let collection = "";

beforeEach(async () => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "candor-after-")));
  door = await openRealDoor();
  const { id } = (await run("users.create", { name: "writer", role: "api_user" })) as {
    id: string;
  };
  const found = await door.app.access.principalOf(id);
  if (!found) throw new TypeError("the user is not there");
  writer = found;
  collection = ((await run("collections.create", { name: "shared" })) as { id: string }).id;
  await run("grants.set", { collection, principal: id, right: "write" });
});
afterEach(async () => {
  await door.close();
  rmSync(root, { recursive: true });
});

async function run(name: string, input: unknown, by: Principal = localPrincipal) {
  const operation = operations.find((known) => known.name === name);
  if (!operation) throw new TypeError(`no operation ${name}`);
  return (await runOperation(door.app, operation, input, { principal: by })).output;
}

const endOf = ({ id }: Job) => door.app.jobs.ended(id, AbortSignal.timeout(30_000));
const documents = async () =>
  ((await run("collections.get", { collection })) as { counts: { documents: number } }).counts
    .documents;
const texts = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ content: `Turnstone number ${index}.` }));

test("a job ends when its owner may not write any more, and says why", async () => {
  const { job } = (await run(
    "documents.addBatch",
    { collection, documents: texts(400), batchSize: 1 },
    writer,
  )) as { job: Job };
  while ((await documents()) < 5) await new Promise((go) => setTimeout(go, 1));
  await run("users.update", { user: "writer", disabled: true });
  const after = await documents();
  await endOf(job);
  const ended = (await run("jobs.get", { job: job.id })) as Job;
  expect(ended).toMatchObject({ state: "failed", error: { code: "permission_denied" } });
  // What was in work when the right ended may still be finished: one document.
  expect((await documents()) - after).toBeLessThanOrEqual(1);
});

test("a job that waits begins nothing for somebody who was shut out", async () => {
  await run("grants.remove", { collection, principal: "writer" });
  const made = await door.app.database.write((handle) =>
    door.app.jobs.enqueue(handle, "documents.addBatch", {
      owner: writer.id,
      target: { type: "collection", id: collection },
      input: { collection, documents: texts(3), batchSize: 10 },
    }),
  );
  door.app.jobs.dispatch();
  await endOf(made);
  expect(await run("jobs.get", { job: made.id })).toMatchObject({
    state: "failed",
    error: { code: "permission_denied" },
  });
  expect(await documents()).toBe(0);
});

test("a sync that is let go on is confined to the folders that are allowed now", async () => {
  writeFileSync(join(root, "good.md"), "Good words.");
  writeFileSync(join(root, "bad.json"), "{");
  await run("settings.set", { values: { "storage.roots": [root] } });
  const { job } = (await run("collections.sync", { collection, path: root }, writer)) as {
    job: Job;
  };
  await endOf(job);
  const first = (await run("jobs.get", { job: job.id })) as Job;
  expect(first).toMatchObject({ state: "partial", resumable: true });
  await run("settings.set", { values: { "storage.roots": [] } });
  writeFileSync(join(root, "later.md"), "Written after the folder was taken out.");
  await run("jobs.resume", { job: job.id });
  await endOf(job);
  expect(await run("jobs.get", { job: job.id })).toMatchObject({
    state: "failed",
    error: { code: "path_refused" },
  });
  expect(await documents()).toBe(1);
});

test("the texts of a batch that succeeded are in no job any more", async () => {
  const { job } = (await run("documents.addBatch", {
    collection,
    documents: [{ content: "turnstone-canary" }],
  })) as { job: Job };
  await endOf(job);
  const rows = await door.app.database.unscoped.selectFrom("jobs").selectAll().execute();
  expect(rows).toHaveLength(1);
  expect(JSON.stringify(rows)).not.toContain("turnstone-canary");
});

test("a request whose body ends after its key was revoked is refused", async () => {
  const { id, key } = await door.app.access.keys.create(localPrincipal, {
    name: "k",
    role: "admin",
  });
  const body = JSON.stringify({ name: "too-late" });
  const socket = createConnection(door.port, "127.0.0.1");
  socket.write(
    `POST /api/v1/collections HTTP/1.1\r\nhost: 127.0.0.1:${door.port}\r\nauthorization: Bearer ${key}\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
  );
  while (!(await wasUsed(id))) await new Promise((go) => setTimeout(go, 2));
  await run("keys.revoke", { key: id });
  socket.write(body.slice(5));
  const answer = await new Promise<string>((resolve) =>
    socket.once("data", (bytes: Buffer) => resolve(bytes.toString())),
  );
  socket.destroy();
  expect(answer).toMatch(/^HTTP\/1\.1 401 /);
  await expect(run("collections.get", { collection: "too-late" })).rejects.toMatchObject({
    code: "not_found",
  });
});

/** Whether the key was looked up, as the first use of it notes. */
async function wasUsed(id: string): Promise<boolean> {
  const row = await door.app.database.read
    .selectFrom("api_keys")
    .select("last_used_at")
    .where("id", "=", id)
    .executeTakeFirstOrThrow();
  return row.last_used_at !== null;
}
