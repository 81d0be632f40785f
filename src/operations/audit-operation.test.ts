import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { localPrincipal, type Principal } from "#base/access/index.ts";
import { type CandorError, toCandorError } from "#base/errors/index.ts";
import type { AuditEntry } from "#base/ledger/index.ts";
import {
  answered,
  effectPassword,
  effects,
  makeThings,
  syncRoot,
  type Things,
} from "../../test/fixtures/rooms/effects.ts";
import {
  modelFolders,
  openTestApp,
  type TestApp,
} from "../../test/fixtures/rooms/open-test-app.ts";
import { keyPrincipal } from "../../test/fixtures/rooms/principals.ts";
import { type Operation, operations, runOperation } from "./index.ts";

type Json = Record<string, unknown>;

const password = effectPassword;
let test: TestApp;
let things: Things;

beforeAll(async () => {
  test = await openTestApp({ "models.static": modelFolders.tiny });
  things = makeThings(test);
  const root = syncRoot(test);
  mkdirSync(root);
  writeFileSync(join(root, "a.md"), "Words in a file.\n");
  await run("settings.set", { values: { "storage.roots": [root] } });
});
afterAll(() => test.close());

function find(name: string): Operation {
  const operation = operations.find((known) => known.name === name);
  if (!operation) throw new TypeError(`no operation ${name}`);
  return operation;
}

async function run(
  name: string,
  input: Json,
  by: Principal | null = localPrincipal,
  more: { idempotencyKey?: string; requestId?: string; address?: string } = {},
): Promise<Json> {
  const { output } = await runOperation(test.app, find(name), input, { principal: by, ...more });
  return output as Json;
}

const refusal = (work: Promise<unknown>): Promise<CandorError> =>
  work.then(
    () => toCandorError(new Error("it was done")),
    (thrown: unknown) => toCandorError(thrown),
  );

/** What was entered since `work` began, oldest first; what is entered without being waited for is entered by then. */
async function entered(work: () => Promise<unknown>): Promise<AuditEntry[]> {
  const { audit, database } = test.app;
  const [last] = await audit.list({ limit: 1 });
  await work();
  // Refusals are entered behind the answer: everything that is waited for on the way takes turns.
  for (let turn = 0; turn < 30; turn += 1) await setImmediate();
  await database.write(async () => undefined);
  const entries = await audit.list({ limit: 100 });
  return entries.filter(({ number }) => number > (last?.number ?? 0)).toReversed();
}

/** Where an effect is not in the database, or not in it alone, so that its entry follows it. */
const outside = ["settings.set", "storage.cleanup"];

it("every operation that changes something is here", () => {
  const changing = operations.filter(({ effect }) => effect !== "read").map(({ name }) => name);
  expect(Object.keys(effects).toSorted()).toEqual(changing.toSorted());
});

describe.each(Object.keys(effects))("%s", (name) => {
  it("has exactly one entry, which says who did what to which thing", async () => {
    const prepared = await effects[name]?.(things, test);
    if (!prepared) throw new TypeError(`no effect ${name}`);
    const { input, by = localPrincipal, target } = prepared;
    let output: Json = {};
    const entries = await entered(async () => {
      output = await run(name, input, by, { requestId: `of-${name}`, address: "192.0.2.1" });
    });
    const [type, id] = target ?? [];
    expect(entries).toMatchObject([
      {
        operation: name,
        outcome: "done",
        code: null,
        principal: by?.id ?? null,
        role: by?.role ?? null,
        requestId: `of-${name}`,
        address: "192.0.2.1",
        target: target && { type, id: id === answered ? output["id"] : id },
      },
    ]);
  });

  if (outside.includes(name)) return;
  it("is not done when its entry cannot be made", async () => {
    const prepared = await effects[name]?.(things, test);
    if (!prepared) throw new TypeError(`no effect ${name}`);
    const { input, by = localPrincipal } = prepared;
    await idle();
    await change(`create trigger no_entry before insert on audit_entries
      when new.outcome = 'done' begin insert into nowhere values (1); end`);
    const before = await everything();
    const { status } = await refusal(run(name, input, by));
    await change("drop trigger no_entry");
    expect(status).toBeGreaterThanOrEqual(500);
    expect(await everything()).toEqual(before);
  });
});

/** Waits until nothing is done behind the calls that were answered. */
async function idle(): Promise<void> {
  const { jobs } = test.app;
  jobs.dispatch();
  await expect.poll(() => jobs.counts(), { timeout: 20_000 }).toEqual({ queued: 0, running: 0 });
}

async function change(statement: string): Promise<void> {
  await test.app.database.write(
    async ({ tables }) => void (await sql.raw(statement).execute(tables)),
  );
}

/** All rows but those that tell of failures. */
async function everything(): Promise<Json> {
  const reads = test.app.database.unscoped;
  const telling = ["audit_entries", "ledger_entries", "login_failures", "runs", "sqlite_sequence"];
  const { rows } = await sql<{ name: string }>`select name from sqlite_master
    where type = 'table' and sql not like 'create virtual%' order by name`.execute(reads);
  const held: Json = {};
  for (const { name } of rows.filter((table) => !telling.includes(table.name)))
    held[name] = (await sql`select * from ${sql.table(name)}`.execute(reads)).rows;
  const resolved = await sql`select id from ledger_entries where resolved = 1`.execute(reads);
  return { ...held, resolved: resolved.rows };
}

describe("no entry is made", () => {
  it("for a replay", async () => {
    const name = things.freshName();
    const send = () =>
      run("collections.create", { name }, localPrincipal, { idempotencyKey: name });
    expect(await entered(send)).toHaveLength(1);
    expect(await entered(send)).toEqual([]);
  });

  it("for a dry run", async () => {
    const [there, { name }] = [await things.document(), await things.user()];
    await things.trash();
    const dryRun = true;
    for (const [operation, input] of [
      ["users.delete", { user: name }],
      ["documents.delete", there],
      ["collections.delete", { collection: there.collection }],
      ["trash.empty", { all: true }],
    ] as const)
      expect(await entered(() => run(operation, { ...input, dryRun })), operation).toEqual([]);
  });

  it("for reading, and for what is wrong in itself", async () => {
    const entries = await entered(async () => {
      await run("collections.list", {});
      const wrong = [
        run("collections.create", {}),
        run("collections.create", { name: "A name" }),
        run("collections.delete", { collection: "there is none" }),
        run("keys.revoke", { key: `candor_${"a".repeat(43)}` }),
        run("collections.delete", { collection: "there is none" }, keyPrincipal("x")),
      ];
      for (const work of wrong) expect((await refusal(work)).status).toBeGreaterThanOrEqual(400);
    });
    expect(entries).toEqual([]);
  });
});

describe("a refusal is entered", () => {
  const by = keyPrincipal("stranger", "developer");

  it("with what was asked for: a role that is too low", async () => {
    const { name } = await things.user();
    const entries = await entered(() => refusal(run("users.delete", { user: name }, by)));
    expect(entries).toMatchObject([
      {
        principal: by.id,
        role: "developer",
        operation: "users.delete",
        outcome: "refused",
        code: "permission_denied",
        target: null,
      },
    ]);
  });

  it("where the answer says that there is no such thing, reading too", async () => {
    const name = things.freshName();
    const id = String((await run("collections.create", { name }))["id"]);
    for (const [operation, input] of [
      ["collections.get", {}],
      ["search.query", { query: "x" }],
      ["collections.delete", {}],
    ] as const) {
      const given = operation === "search.query" ? { collections: [name] } : { collection: name };
      const entries = await entered(async () => {
        const { code } = await refusal(run(operation, { ...input, ...given }, by));
        expect(code, operation).toBe("not_found");
      });
      expect(entries, operation).toMatchObject([
        { operation, outcome: "refused", code: "permission_denied", principal: by.id },
      ]);
      if (operation !== "search.query")
        expect(entries[0]?.target).toEqual({ type: "collection", id });
    }
  });

  it("where the right is too small", async () => {
    const id = await things.collection();
    await test.grant(by, id, "read");
    const add = run("documents.add", { collection: id, content: "Words." }, by);
    const entries = await entered(async () => {
      expect((await refusal(add)).code).toBe("permission_denied");
    });
    expect(entries).toMatchObject([
      { operation: "documents.add", outcome: "refused", target: { type: "collection", id } },
    ]);
  });

  it("where a user above may not be touched, and where nobody may be", async () => {
    const { id } = await things.user();
    await run("users.update", { user: id, role: "superadmin" });
    const admin = { ...keyPrincipal("admin", "admin") };
    const entries = await entered(() => refusal(run("users.delete", { user: id }, admin)));
    expect(entries).toMatchObject([{ outcome: "refused", target: { type: "user", id } }]);
  });

  it("of a login, with the user where there is one, and of a token that was used before", async () => {
    const { name, id } = await things.user();
    const fail = (given: Json) => () => refusal(run("auth.login", given, null));
    const login = { principal: null, operation: "auth.login", outcome: "refused" };
    expect(await entered(fail({ name, password: "wrong" }))).toMatchObject([
      { ...login, code: "login_failed", target: { type: "user", id } },
    ]);
    expect(await entered(fail({ name: "canary-name", password: "wrong" }))).toMatchObject([
      { ...login, code: "login_failed", target: null },
    ]);
    const { refreshToken } = await things.signedIn(name);
    await run("auth.refresh", { refreshToken }, null);
    expect(await entered(() => refusal(run("auth.refresh", { refreshToken }, null)))).toMatchObject(
      [{ operation: "auth.refresh", code: "refresh_token_reused", target: { type: "user", id } }],
    );
    for (let guess = 0; guess < 5; guess += 1) await fail({ name, password: "wrong" })();
    expect(await entered(fail({ name, password }))).toMatchObject([
      { ...login, code: "login_locked" },
    ]);
  });
});

it("an effect that fails is entered as failed, and is not done", async () => {
  await change(
    `create trigger no_grant before insert on grants begin insert into nowhere values (1); end`,
  );
  const name = things.freshName();
  const entries = await entered(async () => {
    expect((await refusal(run("collections.create", { name }))).status).toBeGreaterThanOrEqual(500);
  });
  await change("drop trigger no_grant");
  expect(entries).toMatchObject([{ operation: "collections.create", outcome: "failed" }]);
  expect((await refusal(run("collections.get", { collection: name }))).code).toBe("not_found");
});

it("nothing secret is in the entries, and they hold together", async () => {
  const { audit, database } = test.app;
  const { name } = await things.user();
  const { principal, refreshToken } = await things.signedIn(name);
  const by = { ...principal, role: "api_user" as const };
  const { key } = await run("keys.create", { name: "canary" }, by);
  const rows = JSON.stringify(
    await database.read.selectFrom("audit_entries").selectAll().execute(),
  );
  for (const secret of [password, String(key), refreshToken, "canary", test.app.access.localKey])
    expect(rows).not.toContain(secret);
  expect(await audit.verify()).toMatchObject({ intact: true, broken: null });
});
