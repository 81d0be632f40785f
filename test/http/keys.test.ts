import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { localPrincipal } from "#base/access/index.ts";
import { openRealDoor, type RealDoor } from "./open-real-door.ts";

let door: RealDoor;
/** Collections of `local` with one document each. */
const collections: { id: string; name: string; job: string }[] = [];

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
type Json = Record<string, unknown>;

async function ask(
  method: "GET" | "POST" | "PATCH" | "DELETE",
  path: string,
  headers: Record<string, string>,
  payload?: Json,
) {
  return door.server.inject({
    method,
    url: `/api/v1${path}`,
    headers: { host: `127.0.0.1:${door.port}`, ...headers },
    ...(payload === undefined ? {} : { payload }),
  });
}

const local = () => bearer(door.app.access.localKey);

beforeAll(async () => {
  door = await openRealDoor();
  for (const name of ["given", "canary"]) {
    const { id } = (await ask("POST", "/collections", local(), { name })).json();
    const documents = [{ key: `${name}.md`, content: `The word ${name} stands in both.` }];
    const batch = `/collections/${id}/documents/batch?wait=true`;
    const { job } = (await ask("POST", batch, local(), { documents })).json();
    collections.push({ id, name, job: job.id });
  }
});
afterAll(() => door.close());

async function createKey(wanted: Json, by = local()) {
  const answer = await ask("POST", "/keys", by, { name: "k", ...wanted });
  expect(answer.statusCode, answer.body).toBe(201);
  const { id, key } = answer.json();
  return { id, headers: bearer(key) };
}

describe("a key of `local`", () => {
  test("sees what `local` made, without being one", async () => {
    const { headers } = await createKey({ role: "api_user" });
    const search = await ask("POST", "/search", headers, { query: "word" });
    expect(search.json().items).toHaveLength(2);
    expect((await ask("GET", "/collections", headers)).json().items).toHaveLength(2);
    expect((await ask("GET", "/users", headers)).statusCode).toBe(403);
    const made = await ask("POST", "/collections", headers, { name: "made-by-key" });
    expect(made.statusCode).toBe(201);
    const other = await createKey({ role: "read_only" });
    const { id } = made.json();
    expect((await ask("GET", `/collections/${id}`, other.headers)).statusCode).toBe(200);
    expect((await ask("DELETE", `/collections/${id}`, headers)).statusCode).toBe(200);
  });
});

describe("a limited key", () => {
  const limitedKey = (right = "write") => createKey({ grants: [{ collection: "given", right }] });

  test("sees its collections and nothing that tells of others, in no list, count, search, job or error", async () => {
    const [given, canary] = collections;
    const { id, headers } = await limitedKey();
    const seen: string[] = [];
    const get = async (path: string, status = 200) => {
      const answer = await ask("GET", path, headers);
      expect(answer.statusCode, `${path} ${answer.body}`).toBe(status);
      seen.push(answer.body);
      return answer.json();
    };
    expect((await get("/auth/me")).collections).toEqual({ read: 1, write: 1 });
    expect((await get("/collections")).items).toMatchObject([{ name: "given", right: "write" }]);
    expect((await get("/keys")).items).toMatchObject([{ id, limited: true }]);
    expect((await get("/jobs")).items).toEqual([]);
    expect((await get("/trash")).items).toEqual([]);
    for (const { job } of collections) await get(`/jobs/${job}`, 404);
    await get(`/collections/${given?.id}/grants`, 403);
    for (const path of ["/ledger", "/settings", "/users", "/audit"]) await get(path, 403);
    const search = await ask("POST", "/search", headers, { query: "word" });
    seen.push(search.body);
    expect(search.json()).toMatchObject({
      searched: { collections: 1, documents: 1 },
      items: [{ collection: given?.id }],
    });
    for (const body of seen) {
      expect(body).not.toContain("canary");
      expect(body).not.toContain(canary?.id);
    }
  });

  test("is told the same of a collection that is not its own and of one that is not there", async () => {
    const { headers } = await limitedKey("owner");
    const shown = async (named: string) => {
      const answers = [
        await ask("GET", `/collections/${named}`, headers),
        await ask("DELETE", `/collections/${named}`, headers),
        await ask("GET", `/collections/${named}/documents`, headers),
        await ask("POST", `/collections/${named}/documents`, headers, { content: "x" }),
        await ask("POST", "/search", headers, { query: "x", collections: [named] }),
      ];
      return answers.map(({ statusCode, body }) => {
        const { requestId: _own, ...problem } = JSON.parse(body.replaceAll(named, "NAMED"));
        return { statusCode, problem };
      });
    };
    const there = await shown("canary");
    expect(there.map(({ statusCode }) => statusCode)).toEqual([404, 404, 404, 404, 404]);
    expect(await shown("nowhere")).toEqual(there);
  });

  test("makes no keys, no collections and gives no rights", async () => {
    const { id, headers } = await limitedKey("owner");
    for (const [path, payload] of [
      ["/keys", { name: "more" }],
      ["/keys", { name: "more", grants: [{ collection: "given", right: "read" }] }],
      ["/collections", { name: "mine" }],
      ["/collections/given/grants", { principal: id, right: "owner" }],
      ["/collections/given/grants", { principal: "local", right: "read" }],
    ] as const) {
      const answer = await ask("POST", path, headers, payload);
      expect(answer.statusCode, path).toBe(403);
      expect(answer.json().code).toBe("permission_denied");
    }
    const remove = await ask("DELETE", "/collections/given/grants/local", headers);
    expect(remove.statusCode).toBe(403);
  });

  test("is given no more than its maker has, once each, and no role that sees more", async () => {
    const { app } = door;
    await app.access.users.create(localPrincipal, { name: "anna", role: "developer" });
    await ask("POST", "/collections/given/grants", local(), { principal: "anna", right: "read" });
    const [row] = await app.access.grants
      .list(collections[0]?.id ?? "", { limit: 10 })
      .then((grants) => grants.filter(({ principal }) => principal.name === "anna"));
    const { id: anna, name } = row?.principal ?? { id: "", name: "" };
    const by = await app.access.keys.create(
      { ...localPrincipal, id: anna, name, owner: anna, kind: "user", role: "developer" },
      { name: "hers", role: "developer" },
    );
    const want = async (payload: Json, headers = bearer(by.key)) => {
      const answer = await ask("POST", "/keys", headers, { name: "k", ...payload });
      return [answer.statusCode, answer.json().code ?? answer.json().role];
    };
    const of = (collection: string, right: string) => ({ grants: [{ collection, right }] });
    expect(await want(of("given", "read"))).toEqual([201, "api_user"]);
    expect(await want(of("given", "write"))).toEqual([403, "permission_denied"]);
    expect(await want(of("canary", "read"))).toEqual([404, "not_found"]);
    expect(await want(of("nowhere", "read"))).toEqual([404, "not_found"]);
    expect(await want({ ...of("given", "read"), role: "developer" })).toEqual([
      422,
      "input_invalid",
    ]);
    expect(await want({ ...of("given", "owner"), role: "admin" }, local())).toEqual([
      422,
      "input_invalid",
    ]);
    const twice = await ask("POST", "/keys", local(), {
      name: "k",
      grants: [
        { collection: "given", right: "owner" },
        { collection: collections[0]?.id, right: "read" },
      ],
    });
    expect(twice.statusCode).toBe(422);
    expect(twice.json().errors).toMatchObject([{ pointer: "/grants/1/collection" }]);
    const none = await ask("POST", "/keys", local(), { name: "k", grants: [] });
    expect(none.statusCode).toBe(422);
  });
});
