import { afterAll, beforeAll, expect, test } from "vitest";
import { localPrincipal } from "#base/access/index.ts";
import { collectionsCreate } from "#operations/collections/create.ts";
import { documentsAdd } from "#operations/documents/add.ts";
import { searchExplain } from "#operations/search/explain.ts";
import { searchQuery } from "#operations/search/query.ts";
import { operations, runOperation } from "#operations/index.ts";
import { openTestApp, type TestApp } from "../fixtures/rooms/open-test-app.ts";

let room: TestApp;
beforeAll(async () => {
  room = await openTestApp();
});
afterAll(() => room.close());

const run = async (name: string, input: unknown, idempotencyKey?: string) => {
  const operation = operations.find((known) => known.name === name);
  if (!operation) throw new Error(`there is no operation ${name}`);
  const caller = {
    principal: localPrincipal,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  };
  return (await runOperation(room.app, operation, input, caller)).output;
};

test("a repeated delete or rename with its key answers as the first did, though the name is gone", async () => {
  await room.call(collectionsCreate, { name: "short-lived" });
  const renamed = await run(
    "collections.update",
    { collection: "short-lived", name: "other" },
    "k1",
  );
  expect(
    await run("collections.update", { collection: "short-lived", name: "other" }, "k1"),
  ).toEqual(renamed);
  const deleted = await run("collections.delete", { collection: "other" }, "k2");
  expect(await run("collections.delete", { collection: "other" }, "k2")).toEqual(deleted);
  await expect(run("collections.delete", { collection: "other" }, "k3")).rejects.toMatchObject({
    code: "not_found",
  });
});

test("a word of several parts is counted where its parts stand together", async () => {
  await room.call(collectionsCreate, { name: "words" });
  const content = "parse_header here, parse there, header elsewhere, and parse_header again";
  await room.call(documentsAdd, { collection: "words", key: "a.txt", content });
  const { items } = await room.call(searchQuery, { query: "parse_header", collections: ["words"] });
  const explained = await room.call(searchExplain, {
    query: "parse_header",
    chunk: items[0]?.chunk ?? "",
    collections: ["words"],
  });
  const whole = explained.keyword?.terms.find(({ term }) => term === "parse_header");
  // Twice in the text and twice among its identifiers; "parse" alone stands there five times.
  expect(whole).toMatchObject({ tf: 4, column: "body" });
});

test("a bad part of a filter is named by its place", async () => {
  const filter = { and: [{ field: "key", op: "like", value: "a" }] };
  await expect(run("search.query", { query: "x", filter })).rejects.toMatchObject({
    code: "input_invalid",
    errors: [{ pointer: "/filter/and/0/op", valid: expect.arrayContaining(["eq", "contains"]) }],
  });
});

test("a search among nothing says so", async () => {
  await room.call(collectionsCreate, { name: "empty" });
  const { items, notices } = await room.call(searchQuery, { query: "x", collections: ["empty"] });
  expect(items).toEqual([]);
  expect(notices).toMatchObject([{ code: "collection_empty", details: { documents: 0 } }]);
});

test("an operation for anybody takes no key: its answer belongs to one caller", async () => {
  const token = room.app.access.signIn.issueToken();
  await expect(run("signin.create", { token }, "shared")).rejects.toMatchObject({
    code: "input_invalid",
    errors: [{ pointer: "/Idempotency-Key" }],
  });
  // The refusal came before the effect: the link still works once.
  expect(await run("signin.create", { token })).toMatchObject({ principal: { id: "local" } });
});
