import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { openSqlite } from "#base/database/index.ts";
import { sqliteMigrations } from "../../src/base/database/sqlite-migrations.ts";
import { freshFolder } from "../fixtures/rooms/open-rooms.ts";
import { openAppOver } from "../fixtures/rooms/open-app-over.ts";

const child = fileURLToPath(new URL("../fixtures/rooms/migrate-until-killed.ts", import.meta.url));

/** Real kills from each schema; by hand as many as there are statements. */
const kills = Number(process.env["CANDOR_TEST_KILLS"] ?? 3);

const newest = sqliteMigrations.length;

/** The steps that users have run: to change one would make two databases of the same number differ. */
const released = ["d54884d806a73c27ba4c073a96d4556c3c640de088bbd39256aa7d6d2b5571dc"];

test("migrations that were released are as they were", () => {
  const hash = (statements: readonly string[]) =>
    createHash("sha256").update(JSON.stringify(statements)).digest("hex");
  expect(
    sqliteMigrations.slice(0, released.length).map(({ statements }) => hash(statements)),
  ).toEqual(released);
});

/** Rows in every table of the first release that content fills; later schemas keep them. */
const content = `
  insert into spaces values ('spc_1', 'identity', 'space', 'static', 'model', 'sha256:1', 'mean', 1, 2, null, '{}', null, null, null, 1);
  insert into collections (id, name, kind, space_id, max_tokens, overlap_tokens, description, generation, created_at, updated_at)
    values ('col_1', 'notes', 'document', 'spc_1', 384, 48, null, 1, 1, 1);
  insert into grants (principal_id, collection_id, level, created_at) values ('local', 'col_1', 'owner', 1);
  insert into documents values ('doc_1', 'col_1', 'a.md', null, 'text/plain', 'text', null, 'text', null, null, null, 5, 'x', null, '{}', null, 5, 1, 1, 1);
  insert into document_texts values ('doc_1', 'col_1', 'Water');
  insert into chunks values (1, 'chk_1', 'col_1', 'doc_1', 0, 0, 5, 1, 1, '[]', '', 'Water', 'key', 1);
  insert into vectors values ('key', 'spc_1', x'000000000000803f');
  create virtual table words_col_1 using fts5(body, identifiers, heading, path, content='', tokenize='porter unicode61 remove_diacritics 2');
  insert into words_col_1 (rowid, body, identifiers, heading, path) values (1, 'Water', '', '', 'a.md');
  insert into runs values ('run', 1, 2, 1, '0.1.0', 'v24', 'linux', 'testing');
  insert into api_keys (id, name, hash, prefix, role, owner, created_at) values ('key_1', 'key', 'hash', 'candor_x', 'admin', 'local', 1);
  insert into sessions values ('session', 'local', 1, 2);
  insert into jobs (id, kind, state, owner, target_type, target_id, input, unit, done, failed, skipped, attempt, cancel_requested, sequence, created_at)
    values ('job_1', 'collections.sync', 'succeeded', 'local', 'collection', 'col_1', '{}', 'files', 1, 0, 0, 1, 0, 1, 1);
  insert into job_items values ('job_1', 'a.md', 'done', null, null, 1, 1);`;

/** A database as the program of that schema left it. */
function makeStore(folder: string, schema: number): void {
  const store = new DatabaseSync(join(folder, "candor.sqlite"));
  store.exec("pragma journal_mode = wal");
  for (const [index, { statements }] of sqliteMigrations.slice(0, schema).entries()) {
    for (const statement of statements) store.exec(statement);
    if (index === 0) store.exec(content);
  }
  store.exec(`pragma user_version = ${schema}`);
  store.close();
}

/** All rows of the first release's tables, in the columns it had. */
function contentOf(path: string): unknown {
  const store = new DatabaseSync(path, { readOnly: true });
  try {
    expect(store.prepare("pragma integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    expect(store.prepare("pragma foreign_key_check").all()).toEqual([]);
    const names = [...content.matchAll(/insert into (\w+)/g)].map(([, name = ""]) => name);
    const rows = [...new Set(names)].map((name) => {
      const columns = columnsOfFirst.get(name) ?? ["rowid"];
      return [name, store.prepare(`select ${columns.join(", ")} from ${name}`).all()];
    });
    const found = store
      .prepare("select rowid from words_col_1 where words_col_1 match 'waters'")
      .all();
    return [...rows, found];
  } finally {
    store.close();
  }
}

const columnsOfFirst = new Map<string, string[]>();
{
  const store = new DatabaseSync(":memory:");
  for (const statement of sqliteMigrations[0]?.statements ?? []) store.exec(statement);
  const columns = store
    .prepare(
      "select m.name as of, c.name from sqlite_master m, pragma_table_info(m.name) c where m.type = 'table'",
    )
    .all();
  for (const { of, name } of columns)
    columnsOfFirst.set(String(of), [...(columnsOfFirst.get(String(of)) ?? []), String(name)]);
  store.close();
}

const schemaOf = (path: string) => {
  const store = new DatabaseSync(path, { readOnly: true });
  const schema = Number(store.prepare("pragma user_version").get()?.["user_version"]);
  store.close();
  return schema;
};

const open = (folder: string) =>
  openSqlite({
    path: join(folder, "candor.sqlite"),
    backups: join(folder, "backups"),
    onFault: () => {},
  });

/** What a killed process left is opened by the next one: all that was there is there, in the newest schema, with a copy from before. */
async function checkLeft(folder: string, schema: number, before: unknown): Promise<void> {
  const path = join(folder, "candor.sqlite");
  const left = schemaOf(path);
  expect(left).toBeGreaterThanOrEqual(schema);
  expect(left).toBeLessThan(newest);
  const database = await open(folder);
  expect(database.health()).toMatchObject({ state: "ok", schemaVersion: newest });
  await database.close();
  expect(schemaOf(path)).toBe(newest);
  if (schema === 0) return;
  expect(contentOf(path)).toEqual(before);
  const copies = readdirSync(join(folder, "backups")).map((name) => join(folder, "backups", name));
  expect(copies.map(schemaOf)).toContain(schema);
  for (const copy of copies) expect(contentOf(copy)).toEqual(before);
}

describe.each(Array.from({ length: newest }, (_, schema) => schema))("from schema %i", (schema) => {
  const statements = sqliteMigrations
    .slice(schema)
    .reduce((sum, migration) => sum + migration.statements.length, 0);
  const begin = () => {
    const folder = freshFolder(onTestFinished);
    if (schema > 0) makeStore(folder, schema);
    const before = schema > 0 ? contentOf(join(folder, "candor.sqlite")) : null;
    return { folder, before };
  };

  test(
    `what lies there after any of ${statements} statements is rolled back or gone on with, and nothing is lost`,
    { timeout: 120_000 },
    async () => {
      const { folder, before } = begin();
      const images = freshFolder(onTestFinished);
      const ran = spawnSync(process.execPath, [child, folder, String(schema), images]);
      expect(ran.status, String(ran.stderr)).toBe(0);
      expect(readdirSync(images)).toHaveLength(statements + 1);
      for (const image of readdirSync(images)) await checkLeft(join(images, image), schema, before);
    },
  );

  test(`the same after ${kills} kills`, { timeout: 60_000 + kills * 5_000 }, async () => {
    for (let kill = 0; kill < kills; kill += 1) {
      const { folder, before } = begin();
      const last = Math.round((statements * (kill + 0.5)) / kills);
      const ran = spawnSync(process.execPath, [child, folder, String(schema), String(last)]);
      expect(ran.signal, String(ran.stderr)).toBe("SIGKILL");
      await checkLeft(folder, schema, before);
    }
  });
});

test("a database of a newer Candor is refused with both versions and the copy from before", async () => {
  const home = freshFolder(onTestFinished);
  const backups = join(home, "backups");
  mkdirSync(backups);
  const copy = join(backups, `before-schema-${newest + 1}-${Date.now()}.sqlite`);
  makeStore(home, 1);
  cpSync(join(home, "candor.sqlite"), copy);
  const newer = new DatabaseSync(join(home, "candor.sqlite"));
  newer.exec(`update runs set version = '9.8.7'; pragma user_version = ${newest + 1}`);
  newer.close();
  await expect(openAppOver(home)).rejects.toMatchObject({
    code: "schema_too_new",
    details: { found: newest + 1, known: newest, writer: "9.8.7", backup: copy },
    message: expect.stringMatching(/Candor 9\.8\.7.*this is Candor \d+\.\d+\.\d+/),
    nextStep: { text: expect.stringContaining(`candor restore ${copy} --replace`) },
  });
  expect(schemaOf(join(home, "candor.sqlite"))).toBe(newest + 1);
});
