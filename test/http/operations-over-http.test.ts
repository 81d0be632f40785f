import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openTestDoor, type TestDoor } from "./open-test-door.ts";
import { sampleOperations } from "./sample-operations.ts";

let door: TestDoor;
let reader: Record<string, string>;
let user: Record<string, string>;

beforeAll(async () => {
  door = await openTestDoor(sampleOperations);
  reader = await door.as("read_only");
  user = await door.as("api_user");
});
afterAll(() => door.close());

describe("input", () => {
  test("comes from path and query string, in the types of the schema", async () => {
    const answer = await door.server.inject({
      url: "/api/v1/samples/a%2Fb?count=3&flag=true&tags=x&tags=y,z&filter=%7B%22field%22%3A%221%22%7D",
      headers: reader,
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({
      got: { name: "a/b", count: 3, flag: true, tags: ["x", "y,z"], filter: { field: "1" } },
      requestId: answer.headers["x-request-id"],
      tookMs: expect.any(Number),
    });
  });

  test.each([
    ["?count=x", "/count"],
    ["?count=11", "/count"],
    ["?flag=yes", "/flag"],
    ["?count=1&count=2", "/count"],
    ["?filter=1", "/filter"],
    ["?unknown=1", "/unknown"],
    ["?wait=true", "/wait"],
    ["?name=other", "/name"],
    ["?__proto__=1", "/__proto__"],
    ["?filter=%7B%22__proto__%22%3A1%7D", "/filter/__proto__"],
  ])("%s is refused by name", async (query, pointer) => {
    const answer = await door.server.inject({ url: `/api/v1/samples/a${query}`, headers: reader });
    expect(answer.statusCode).toBe(422);
    expect(answer.json()).toMatchObject({ code: "input_invalid" });
    const pointers = answer.json().errors.map((fault: { pointer: string }) => fault.pointer);
    expect(pointers).toContain(pointer);
    expect(({} as Record<string, unknown>)["field"]).toBeUndefined();
  });

  test.each([
    [{ name: 1 }, "/name"],
    [{}, "/name"],
    [{ name: "x", more: 1 }, "/more"],
    [[], ""],
    [null, ""],
    ["text", ""],
  ])("the body %j is refused by name", async (payload, pointer) => {
    const answer = await door.server.inject({
      method: "POST",
      url: "/api/v1/samples",
      headers: { ...user, "content-type": "application/json" },
      payload: JSON.stringify(payload),
    });
    expect(answer.statusCode).toBe(422);
    expect(answer.json().errors[0].pointer).toBe(pointer);
  });

  test("a body field that the path names already is refused", async () => {
    const answer = await door.server.inject({
      method: "PATCH",
      url: "/api/v1/samples/a",
      headers: await door.as("admin"),
      payload: { name: "b", note: "x" },
    });
    expect(answer.statusCode).toBe(422);
    expect(answer.json().errors).toEqual([
      { pointer: "/name", message: "is named by the path already" },
    ]);
  });

  test("a query string where the body is meant is refused", async () => {
    const answer = await door.server.inject({
      method: "POST",
      url: "/api/v1/samples?name=a",
      headers: user,
      payload: { name: "a" },
    });
    expect(answer.statusCode).toBe(422);
    expect(answer.json().errors[0]).toMatchObject({ pointer: "/name" });
  });

  test("a body where the query string is meant is refused", async () => {
    for (const method of ["GET", "DELETE"] as const) {
      const answer = await door.server.inject({
        method,
        url: "/api/v1/samples/a",
        headers: user,
        payload: { dryRun: true },
      });
      expect(answer.statusCode).toBe(400);
      expect(answer.json().code).toBe("malformed_request");
    }
  });

  test("deletes take dryRun", async () => {
    const answer = await door.server.inject({
      method: "DELETE",
      url: "/api/v1/samples/a?dryRun=true",
      headers: user,
    });
    expect(answer.json()).toMatchObject({ name: "a", dryRun: true });
  });
});

describe("answers", () => {
  test("201 for what was created, the same again for the same Idempotency-Key", async () => {
    const ask = () =>
      door.server.inject({
        method: "POST",
        url: "/api/v1/samples",
        headers: { ...user, "idempotency-key": "k1" },
        payload: { name: "a" },
      });
    const first = await ask();
    const second = await ask();
    expect(first.statusCode).toBe(201);
    expect(second.statusCode).toBe(201);
    expect(second.json().made).toBe(first.json().made);
    expect(first.headers["cache-control"]).toBe("no-store");
  });

  test("notices are added only when there are any", async () => {
    const noted = await door.server.inject({ url: "/api/v1/samples/noted", headers: reader });
    expect(noted.json().notices).toEqual([{ code: "keyword_only", message: "Only keywords." }]);
    const plain = await door.server.inject({ url: "/api/v1/samples/plain", headers: reader });
    expect(plain.json()).not.toHaveProperty("notices");
  });

  test("HEAD answers without a body", async () => {
    const answer = await door.server.inject({
      method: "HEAD",
      url: "/api/v1/samples/a",
      headers: reader,
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.body).toBe("");
  });

  test("a request id is taken over when it is a plain token, else made", async () => {
    const headers = { ...reader, "x-request-id": "abc-1.2_3" };
    const kept = await door.server.inject({ url: "/api/v1/samples/a", headers });
    expect(kept.headers["x-request-id"]).toBe("abc-1.2_3");
    expect(kept.json().requestId).toBe("abc-1.2_3");
    for (const bad of ["a b", "x".repeat(65), '"', "a\\n"]) {
      const made = await door.server.inject({
        url: "/api/v1/samples/a",
        headers: { ...reader, "x-request-id": bad },
      });
      expect(made.headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

test("each request is one line in the log, without what was asked", async () => {
  const id = "log-test-1";
  await door.server.inject({
    url: "/api/v1/samples/private-name?tags=private-tag",
    headers: { ...reader, "x-request-id": id },
  });
  const readLines = async () => {
    const text = await readFile(join(door.home, "logs", "candor.log"), "utf8");
    return text.split("\n").filter((line) => line.includes(id));
  };
  await expect.poll(readLines).toHaveLength(1);
  const [line = ""] = await readLines();
  expect(JSON.parse(line)).toMatchObject({
    requestId: id,
    method: "GET",
    route: "/api/v1/samples/:name",
    status: 200,
    ms: expect.any(Number),
    message: "request",
  });
  expect(line).not.toContain("private");
});
