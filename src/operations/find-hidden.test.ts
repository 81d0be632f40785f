import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { localPrincipal, type Principal } from "#base/access/index.ts";
import { type CandorError, toCandorError } from "#base/errors/index.ts";
import {
  modelFolders,
  openTestApp,
  type TestApp,
} from "../../test/fixtures/rooms/open-test-app.ts";
import { keyPrincipal } from "../../test/fixtures/rooms/principals.ts";
import { operations, runOperation } from "./index.ts";

type Json = Record<string, unknown>;

let room: TestApp;
const stranger = keyPrincipal("stranger");
/** What somebody else has: ids by the field that names them. */
const theirs: Record<string, string> = {};

beforeAll(async () => {
  room = await openTestApp({ "models.static": [modelFolders.tiny] });
  const { id } = await run("collections.create", { name: "secret" });
  theirs["collection"] = String(id);
  for (const key of ["kept", "gone"])
    await run("documents.add", { collection: "secret", key, content: `Words, ${key}.` });
  const deleted = await run("documents.delete", { collection: "secret", document: "gone" });
  theirs["trash"] = (deleted["undo"] as { trash: string }).trash;
  const [hit] = (await run("search.query", { query: "words" }))["items"] as { chunk: string }[];
  theirs["chunk"] = hit?.chunk ?? "";
  const documents = [{ content: "More words." }];
  const { job } = (await run("documents.addBatch", { collection: "secret", documents })) as {
    job: { id: string };
  };
  theirs["job"] = job.id;
  await room.ended(job);
  theirs["key"] = String((await run("keys.create", { name: "theirs" }))["id"]);
  theirs["user"] = String((await run("users.create", { name: "anna" }))["id"]);
  await run("collections.create", { name: "own" }, stranger);
});
afterAll(() => room.close());

async function run(name: string, input: Json, by: Principal = localPrincipal): Promise<Json> {
  const operation = operations.find((known) => known.name === name);
  if (!operation) throw new TypeError(`no operation ${name}`);
  return (await runOperation(room.app, operation, input, { principal: by })).output as Json;
}

/** The refusal, and what audit and ledger hold of it. */
async function refused(name: string, input: Json, by = stranger) {
  const { audit, database, ledger } = room.app;
  const known = new Set((await audit.list({ limit: 100 })).map(({ id }) => id));
  const error = await run(name, input, by).then(
    () => toCandorError(new Error("it was done")),
    (thrown: unknown): CandorError => toCandorError(thrown),
  );
  // What is kept after the answer is not waited for; writes behind it are.
  for (let turn = 0; turn < 3; turn += 1) await database.write(async () => undefined);
  const entries = (await audit.list({ limit: 100 })).filter(({ id }) => !known.has(id));
  const told = await ledger.list({ limit: 100, code: "permission_denied" });
  return { error, entries, told: told.filter(({ operation }) => operation === name) };
}

const attempts: Readonly<Record<string, [field: string, input: (named: string) => Json]>> = {
  "collections.get": ["collection", (collection) => ({ collection })],
  "documents.get": ["collection", (collection) => ({ collection, document: "kept" })],
  "search.query": ["collection", (named) => ({ query: "words", collections: ["own", named] })],
  "search.explain": ["chunk", (chunk) => ({ query: "words", chunk })],
  "keys.create": [
    "collection",
    (collection) => ({ name: "mine", grants: [{ collection, right: "read" }] }),
  ],
  "keys.revoke": ["key", (key) => ({ key })],
  "jobs.get": ["job", (job) => ({ job })],
  "jobs.resume": ["job", (job) => ({ job })],
  "trash.restore": ["trash", (trash) => ({ trash })],
  "users.update": ["user", (user) => ({ user, password: "x", currentPassword: "y" })],
};

describe.each(Object.entries(attempts))("%s of what somebody else has", (name, [field, input]) => {
  it("is told as if it were not there, and kept as a refusal", async () => {
    const { error, entries, told } = await refused(name, input(theirs[field] ?? ""));
    expect(error).toMatchObject({ code: "not_found", status: 404 });
    expect(entries).toMatchObject([
      {
        operation: name,
        principal: stranger.id,
        outcome: "refused",
        code: "permission_denied",
        target: { id: expect.stringContaining(theirs[field] ?? "nothing") },
      },
    ]);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ principal: stranger.id });
  });

  it("is kept nowhere where there is no such thing", async () => {
    const missing = `${theirs[field]?.slice(0, -3)}000`;
    const { error, entries } = await refused(name, input(missing));
    expect(error.code).toBe("not_found");
    expect(entries).toEqual([]);
  });
});

it("a missing part of what one may see is no attempt on it", async () => {
  const asked: [string, Json][] = [
    ["documents.get", { collection: "own", document: "none" }],
    ["search.query", { query: "words", collections: ["own", "none"] }],
  ];
  for (const [name, input] of asked) {
    const { error, entries } = await refused(name, input);
    expect(error.code).toBe("not_found");
    expect(entries).toEqual([]);
  }
});

it("what somebody may see and is over is no attempt on it", async () => {
  const { database } = room.app;
  const writer = keyPrincipal("writer");
  await room.grant(writer, theirs["collection"] ?? "", "write");
  await run("documents.add", { collection: "secret", key: "late", content: "Late words." });
  const deleted = await run("documents.delete", { collection: "secret", document: "late" });
  const { trash } = deleted["undo"] as { trash: string };
  await database.write(({ tables }) =>
    tables.updateTable("trash_entries").set({ expires_at: 1 }).where("id", "=", trash).execute(),
  );
  for (const by of [writer, keyPrincipal("boss", "admin")]) {
    const { error, entries } = await refused("trash.restore", { trash }, by);
    expect(error.code).toBe("not_found");
    expect(entries).toEqual([]);
  }
  expect((await refused("trash.restore", { trash })).entries).toHaveLength(1);
});

it.each(["collections.get", "documents.get", "keys.create"])(
  "%s does the same before it answers, whether the thing is there or not",
  async (name) => {
    const { database } = room.app;
    const [field = "", input] = attempts[name] ?? [];
    const work = async (named: string) => {
      const done = () => {
        const { statements, works, waiting } = database.statistics();
        const { hits, misses } = statements.read;
        return { reads: hits + misses, writes: works + waiting };
      };
      const before = done();
      await expect(run(name, input?.(named) ?? {}, stranger)).rejects.toMatchObject({
        code: "not_found",
      });
      // The door sends the answer in this turn of the event loop.
      for (let step = 0; step < 200; step += 1) await Promise.resolve();
      const { reads, writes } = done();
      for (let turn = 0; turn < 3; turn += 1) await database.write(async () => undefined);
      return { reads: reads - before.reads, writes: writes - before.writes };
    };
    const there = theirs[field] ?? "";
    const done = await work(there);
    expect(done).toEqual(await work(`${there.slice(0, -3)}000`));
    expect(done).toMatchObject({ writes: 0 });
    expect(done.reads).toBeGreaterThan(1);
  },
);
