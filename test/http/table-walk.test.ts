import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { roles } from "#base/access/index.ts";
import { type Operation, operations } from "#operations/index.ts";
import { openRealDoor, type RealDoor } from "./open-real-door.ts";

let door: RealDoor;
beforeAll(async () => {
  door = await openRealDoor();
});
afterAll(() => door.close());

const offered = operations.flatMap((operation) =>
  operation.http ? [{ name: operation.name, operation, http: operation.http }] : [],
);
const guarded = offered.filter(({ operation }) => operation.permission !== "public");

/** The operation's address, with something in the place of every parameter. */
function addressOf(http: NonNullable<Operation["http"]>): string {
  return `${http.root ? "" : "/api/v1"}${http.path.replaceAll(/:\w+/g, "x")}`;
}

const ask = (
  http: NonNullable<Operation["http"]>,
  headers: Record<string, string>,
  fields?: Record<string, unknown>,
) => {
  const takesBody = http.method === "POST" || http.method === "PATCH";
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields ?? {})) query.append(name, String(value));
  return door.server.inject({
    method: http.method,
    url: `${addressOf(http)}${takesBody || !fields ? "" : `?${query.toString()}`}`,
    headers,
    ...(takesBody && fields ? { payload: fields } : {}),
  });
};

test("the operations that anybody may call are exactly these", () => {
  const open = operations.filter(({ permission }) => permission === "public");
  expect(open.map(({ name }) => name).toSorted()).toEqual([
    "auth.login",
    "auth.refresh",
    "signin.create",
    "system.health",
  ]);
});

test.each(guarded)("$name: nobody gets 401", async ({ http }) => {
  const answer = await ask(http, await door.as(null));
  expect(answer.statusCode).toBe(401);
  expect(answer.json()).toMatchObject({ code: "authentication_required", status: 401 });
});

test.each(guarded)("$name: a role that is too low gets 403", async ({ operation, http }) => {
  const { permission } = operation;
  const lower = permission === "public" ? undefined : roles[roles.indexOf(permission.role) + 1];
  if (lower === undefined) return expect(permission).toMatchObject({ role: roles.at(-1) });
  const answer = await ask(http, await door.as(lower));
  expect(answer.statusCode).toBe(403);
  expect(answer.json()).toMatchObject({ code: "permission_denied" });
});

test.each(offered)("$name: an unknown field gets 422 with its pointer", async ({ http }) => {
  const answer = await ask(http, await door.as("superadmin"), { noSuchField: 1 });
  expect(answer.statusCode).toBe(422);
  const { code, errors } = answer.json();
  expect(code).toBe("input_invalid");
  expect(errors.map(({ pointer }: { pointer: string }) => pointer)).toContain("/noSuchField");
});

describe("every field of every operation", () => {
  const fields = offered.flatMap(({ name, operation, http }) =>
    Object.keys("shape" in operation.input ? (operation.input.shape as object) : {})
      .filter((field) => !http.path.includes(`:${field}`))
      .map((field) => ({ name, field, http })),
  );

  test.each(fields)("$name refuses a wrong $field by its pointer", async ({ field, http }) => {
    const headers = await door.as("superadmin");
    const pointers: string[] = [];
    // What is wrong depends on the type; something of these is wrong for every one.
    for (const value of [{ unfit: { unfit: [[[]]] } }, "\u0000".repeat(3000), 0.5, [[[]]]]) {
      const answer = await ask(http, headers, { [field]: value });
      if (answer.statusCode === 422)
        for (const { pointer } of answer.json().errors) pointers.push(pointer);
      expect(answer.statusCode, answer.body).toBeLessThan(500);
    }
    expect(pointers.some((pointer) => `${pointer}/`.startsWith(`/${field}/`))).toBe(true);
  });
});
