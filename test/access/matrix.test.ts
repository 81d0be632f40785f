import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Role, roles } from "#base/access/index.ts";
import type { GrantLevel } from "#base/database/index.ts";
import { type Operation, operations } from "#operations/index.ts";
import { matrix, type Rule } from "./matrix.ts";
import { type Caller, canary, openWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
}, 120_000);
afterAll(() => world.close());

type Cell = { readonly caller: Caller; readonly right: GrantLevel | null; readonly mine: boolean };

const rights = [null, "read", "write", "owner"] as const;
const reaches = (role: Role, needed: Role) => roles.indexOf(role) <= roles.indexOf(needed);

/** Every way in which somebody may stand to the target of an operation. */
function cellsOf(rule: Rule): Cell[] {
  return world.callers.flatMap((caller) => {
    const some = caller.role !== null && !reaches(caller.role, "admin");
    // Who is not let in at all has nothing from the highest right.
    const given = rule.right
      ? !caller.accepted
        ? (["owner"] as const)
        : some
          ? rights
          : [null]
      : [null];
    const mine = rule.own && caller.principal ? [true, false] : [false];
    return given.flatMap((right) => mine.map((own) => ({ caller, right, mine: own })));
  });
}

/** What the matrix says of a cell: the status of the refusal, or null for being let in. */
function refusalOf(rule: Rule, { caller, right, mine }: Cell): number | null {
  if (!caller.accepted) return 401;
  if (rule.who === "anybody") return null;
  if (caller.role === null) return 401;
  if (!reaches(caller.role, rule.who)) return 403;
  const except = rule.except?.({ role: caller.role, limited: caller.limited, mine }) ?? null;
  if (rule.right !== undefined && !reaches(caller.role, "admin")) {
    if (right === null) return 404;
    if (rights.indexOf(right) < rights.indexOf(rule.right)) return rule.hidden ? 404 : 403;
  }
  if (rule.own !== undefined && !mine && !reaches(caller.role, rule.own)) return 404;
  return except;
}

async function askOf(operation: Operation, rule: Rule, cell: Cell) {
  const { http } = operation;
  if (!http) throw new TypeError(`${operation.name} has no place on HTTP`);
  const targets = world.targets(cell);
  const input = await rule.input(targets);
  const headers = await world.headers(cell.caller, targets, cell.right);
  const rest = new Map(Object.entries(input));
  const path = http.path.replaceAll(/:(\w+)/g, (_, name: string) => {
    const value = String(rest.get(name));
    rest.delete(name);
    return encodeURIComponent(value);
  });
  const takesBody = http.method === "POST" || http.method === "PATCH";
  const fields = Object.fromEntries(rest);
  const query = new URLSearchParams(fields as Record<string, string>).toString();
  const url = `${http.root ? "" : "/api/v1"}${path}${takesBody || query === "" ? "" : `?${query}`}`;
  const answer = await world.door.server.inject({
    method: http.method,
    url,
    headers,
    ...(takesBody ? { payload: fields } : {}),
  });
  return {
    status: answer.statusCode,
    text: `${answer.body}\n${JSON.stringify(answer.headers)}`,
    input,
  };
}

/** Whether things of the stranger are meant to be seen by this caller. */
function maySee(rule: Rule, { role }: Caller): boolean {
  return role !== null && reaches(role, rule.sees ?? "admin");
}

async function faultsOf(operation: Operation, rule: Rule): Promise<string[]> {
  const faults: string[] = [];
  for (const cell of cellsOf(rule)) {
    const { caller, right, mine } = cell;
    const { status, text } = await askOf(operation, rule, cell);
    const refusal = refusalOf(rule, cell);
    const letIn = (status >= 200 && status < 300) || (rule.also ?? []).includes(status);
    const who = `${caller.title}, right ${right ?? "none"}${mine ? ", own thing" : ""}`;
    if (refusal === null ? !letIn : status !== refusal)
      faults.push(`${who}: ${status} instead of ${refusal ?? "2xx"}: ${text.slice(0, 300)}`);
    if (text.includes(canary) && !maySee(rule, caller))
      faults.push(`${who}: sees a thing of somebody else: ${text.slice(0, 2000)}`);
  }
  return faults;
}

test("the matrix has a line for every operation, and none besides", () => {
  expect(Object.keys(matrix).toSorted()).toEqual(operations.map(({ name }) => name).toSorted());
});

describe("everybody who may come to the door, on every thing", () => {
  test.each(operations.map((operation) => ({ name: operation.name, operation })))(
    "$name",
    { timeout: 60_000 },
    async ({ name, operation }) => {
      const rule = matrix[name];
      if (!rule) throw new TypeError(`${name} is not in the matrix`);
      expect(await faultsOf(operation, rule)).toEqual([]);
    },
  );
});

test("whoever was given nothing finds nothing counted", async () => {
  const [stranger] = world.callers.filter(({ title }) => title === "a limited key, api_user");
  if (!stranger?.principal) throw new TypeError("there is no such caller");
  const { principal } = stranger;
  await world.app.database.write(({ tables }) =>
    tables.deleteFrom("grants").where("principal_id", "=", principal.id).execute(),
  );
  const targets = world.targets({ caller: stranger, right: null, mine: false });
  const headers = await world.headers(stranger, targets, null);
  const get = async (path: string) =>
    (await world.door.server.inject({ url: `/api/v1${path}`, headers })).json();
  expect(await get(`/spaces/${targets.space}`)).toMatchObject({ vectors: 0, collections: 0 });
  for (const path of ["/collections", "/trash"])
    expect(await get(path)).toMatchObject({ items: [] });
  // Of keys it knows itself, and those that the cells above made in its name.
  const { items } = (await get("/keys")) as { items: { id: string; owner: string }[] };
  expect(items.map(({ id }) => id)).toContain(principal.id);
  expect(items.filter(({ id, owner }) => ![id, owner].includes(principal.id))).toEqual([]);
  expect(await get("/auth/me")).toMatchObject({ collections: { read: 0, write: 0 } });
});

/** Operations whose path names a thing that may be somebody else's. */
const named = Object.entries(matrix).filter(([, rule]) => rule.right ?? rule.own);

test.each(named)(
  "%s: a thing that is not yours answers as one that is not there",
  async (name, rule) => {
    const operation = operations.find((known) => known.name === name);
    const [stranger] = world.callers.filter(({ title }) => title === "a user, api_user");
    if (!operation || !stranger) throw new TypeError(`${name} cannot be asked`);
    const cell = { caller: stranger, right: null, mine: false };
    if (refusalOf(rule, cell) !== 404) return;
    const foreign = await askOf(operation, rule, cell);
    const missing = await askOf(
      operation,
      { ...rule, input: async (targets) => unknown(await rule.input(targets)) },
      cell,
    );
    expect(missing.status).toBe(404);
    expect(withoutNames(missing)).toBe(withoutNames(foreign));
  },
);

/** The same input with ids that nothing has. */
function unknown(input: Record<string, unknown>): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(input).replaceAll(
      /"((?:col|doc|chk|job|key|usr|trs)_)[0-9A-Z]{26}"/g,
      '"$100000000000000000000000000"',
    ),
  ) as Record<string, unknown>;
}

/** An answer without what is different in every request: the ids that were asked for, times and request ids. */
function withoutNames({ text }: { text: string }): string {
  return text
    .replaceAll(/(?:col|doc|chk|job|key|usr|trs|led)_[0-9A-Z]{26}/g, "ID")
    .replaceAll(/\bm\d+\b/g, "NAME")
    .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "REQUEST")
    .replaceAll(/"date":"[^"]*"/g, "")
    .replaceAll(/"(?:x-)?ratelimit-[^,]*,/g, "")
    .replaceAll(/"content-length":"\d+"/g, "");
}
