import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openTestDoor, type TestDoor } from "./open-test-door.ts";
import { sampleOperations, condition } from "./sample-operations.ts";

let door: TestDoor;
let user: Record<string, string>;

beforeAll(async () => {
  door = await openTestDoor(sampleOperations);
  user = await door.as("api_user");
});
afterAll(() => door.close());

async function post(payload: string | Buffer, headers: Record<string, string> = {}) {
  return door.server.inject({
    method: "POST",
    url: "/api/v1/samples",
    headers: { ...user, "content-type": "application/json", ...headers },
    payload,
  });
}

function expectProblem(answer: Awaited<ReturnType<typeof post>>, status: number, code: string) {
  expect(answer.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
  const problem = answer.json();
  expect(problem).toMatchObject({
    type: `/docs/errors/${code}`,
    status,
    code,
    requestId: answer.headers["x-request-id"],
  });
  expect(answer.statusCode).toBe(status);
  expect(answer.body).not.toMatch(/node_modules|\.ts:|\.js:|\bat .*\(/);
  expect(answer.headers["x-content-type-options"]).toBe("nosniff");
  return problem;
}

describe("bodies", () => {
  test.each([
    ["broken JSON", '{"name":'],
    ["a prototype", '{"name":"a","__proto__":{"x":1}}'],
    ["a constructor's prototype", '{"name":"a","constructor":{"prototype":{"x":1}}}'],
    ["101 levels", `{"name":${"[".repeat(100)}${"]".repeat(100)}}`],
    ["a million levels", "[".repeat(1_000_000)],
    ["bytes that are not UTF-8", Buffer.from([0x22, 0xff, 0x22])],
    ["a trailing comma", '{"name":"a",}'],
    ["NaN", '{"name":NaN}'],
  ])("%s is a malformed request", async (_what, payload) => {
    expectProblem(await post(payload), 400, "malformed_request");
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });

  test("100 levels are read, and brackets in strings are no levels", async () => {
    const deep = `{"name":${"[".repeat(99)}${"]".repeat(99)}}`;
    expectProblem(await post(deep), 422, "input_invalid");
    const text = JSON.stringify({ name: "[{\\".repeat(200) });
    expect((await post(text)).statusCode).toBe(201);
  });

  test("a byte order mark is no part of the JSON", async () => {
    expect((await post(`\uFEFF{"name":"a"}`)).statusCode).toBe(201);
  });

  test.each([
    [{ "content-type": "text/plain" }],
    [{ "content-type": "application/xml" }],
    [{ "content-type": "application/x-www-form-urlencoded" }],
    [{ "content-type": "application/json; charset=utf-16" }],
    [{ "content-encoding": "gzip" }],
    [{ "content-type": "nonsense" }],
  ])("%j is an unsupported media type", async (headers) => {
    expectProblem(await post('{"name":"a"}', headers), 415, "unsupported_media_type");
  });

  test("a form is refused where no file is taken", async () => {
    const headers = { "content-type": "multipart/form-data; boundary=x" };
    expectProblem(await post("--x--", headers), 415, "unsupported_media_type");
  });

  test("more than a megabyte is too large, said before it is read", async () => {
    const problem = expectProblem(await post("x".repeat(1_048_577)), 413, "payload_too_large");
    expect(problem.detail).toMatch(/larger than/);
  });
});

describe("addresses", () => {
  test.each([
    ["/nothing", 404, "not_found"],
    ["/api/v1/nothing", 404, "not_found"],
    ["/api/v1/samples/", 404, "not_found"],
    ["/API/V1/samples/a", 404, "not_found"],
    ["/docs/errors/none_such", 404, "not_found"],
    ["/static/../limits.ts", 404, "not_found"],
    ["/static/..%2flimits.ts", 404, "not_found"],
    ["/%", 400, "malformed_request"],
    ["/api/v1/samples/%zz", 400, "malformed_request"],
    ["/api/v1/samples/%ff", 400, "malformed_request"],
    ["/api/v1/samples/a?x=%zz", 400, "malformed_request"],
    ["/api/v1/samples/a?%ff=1", 400, "malformed_request"],
    [`/api/v1/samples/${"a".repeat(7000)}`, 414, "address_too_long"],
    ["//evil.example/health", 404, "not_found"],
  ])("%s", async (url, status, code) => {
    expectProblem(await door.server.inject({ url, headers: user }), status, code);
  });

  test("another method is refused with the methods that there are", async () => {
    for (const [method, url, allow] of [
      ["PUT", "/api/v1/samples/a", "GET, HEAD, PATCH, DELETE"],
      ["POST", "/health", "GET, HEAD"],
      ["DELETE", "/", "GET, HEAD"],
      ["HEAD", "/api/v1/auth/signin", "POST"],
      ["HEAD", "/api/v1/counting", "GET"],
      ["OPTIONS", "/api/v1/samples", "POST"],
      ["PATCH", "/api/v1/samples", "POST"],
      ["TRACE", "/docs", "GET, HEAD"],
    ] as const) {
      const answer = await door.server.inject({ method: method as "GET", url, headers: user });
      expect(answer.statusCode, `${method} ${url}`).toBe(405);
      for (const each of allow.split(", ")) expect(answer.headers["allow"]).toContain(each);
      if (method !== "HEAD") expectProblem(answer, 405, "method_not_allowed");
    }
  });
});

describe("what operations raise", () => {
  const ask = (name: string) =>
    door.server.inject({ url: `/api/v1/samples/${name}`, headers: user });

  test("an error of the catalogue is its problem", async () => {
    const problem = expectProblem(await ask("missing"), 404, "not_found");
    expect(problem.instance).toBeNull();
  });

  test("Retry-After is in whole seconds, rounded up", async () => {
    const answer = await ask("busy");
    expectProblem(answer, 503, "overloaded");
    expect(answer.headers["retry-after"]).toBe("2");
    expect(answer.json().retryAfterMs).toBe(1500);
  });

  test("anything else is a defect: nothing of it is told, its ledger entry is named", async () => {
    const answer = await ask("broken");
    const problem = expectProblem(answer, 500, "defect");
    expect(answer.body).not.toContain("passwd");
    const entry = await door.app.ledger.get(problem.instance.replace("urn:candor:", ""));
    expect(entry).toMatchObject({
      code: "defect",
      operation: "samples.get",
      method: "GET",
      endpoint: "/api/v1/samples/:name",
      correlationId: problem.requestId,
    });
  });

  test("health that failed answers 503 with its own body", async () => {
    condition.status = "failed";
    const failed = await door.server.inject({ url: "/health", headers: user });
    condition.status = "ok";
    expect(failed.statusCode).toBe(503);
    expect(failed.json()).toMatchObject({ status: "failed" });
    expect((await door.server.inject({ url: "/health", headers: user })).statusCode).toBe(200);
  });
});
