import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { localPrincipal } from "#base/access/index.ts";
import { forgeTokens } from "../fixtures/rooms/forge-tokens.ts";
import { openRealDoor, type RealDoor } from "./open-real-door.ts";

const password = "correct horse, battery canary";
let door: RealDoor;
let origin: string;
let made = 0;

beforeAll(async () => {
  door = await openRealDoor({ flags: { "security.failuresPerMinutePerAddress": 10_000 } });
  origin = `http://127.0.0.1:${door.port}`;
});
afterAll(() => door.close());
afterEach(() => vi.useRealTimers());

type Ask = {
  readonly headers?: Readonly<Record<string, string>>;
  readonly payload?: object;
  readonly from?: string;
};

const ask = async (
  method: "GET" | "POST" | "PATCH" | "DELETE",
  path: string,
  { headers = {}, payload, from = "192.0.2.1" }: Ask = {},
) =>
  door.server.inject({
    method,
    url: `/api/v1${path}`,
    remoteAddress: from,
    headers: { host: `127.0.0.1:${door.port}`, ...headers },
    ...(payload === undefined ? {} : { payload }),
  });

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

/** What a page of ours sends along. */
const page = (cookie: string) => ({
  cookie: `candor_session_${door.port}=${cookie}`,
  origin,
  "x-candor-request": "1",
});

async function addUser(role: "admin" | "api_user" | "read_only" = "api_user") {
  const name = `somebody-${(made += 1)}`;
  const { id } = await door.app.access.users.create(localPrincipal, { name, role, password });
  return { id, name };
}

const login = (name: string, given = password, as = "tokens") =>
  ask("POST", "/auth/login", { payload: { name, password: given, as } });

const me = (headers: Record<string, string>) => ask("GET", "/auth/me", { headers });

describe("signing in", () => {
  test("for tokens gives them in the body alone", async () => {
    const { id, name } = await addUser();
    const answer = await login(name);
    expect(answer.statusCode).toBe(200);
    expect(answer.headers["cache-control"]).toBe("no-store");
    expect(answer.headers).not.toHaveProperty("set-cookie");
    const { accessToken, refreshToken, principal } = answer.json();
    expect(principal).toEqual({ id, name, role: "api_user" });
    const who = await me(bearer(accessToken));
    expect(who.json()).toMatchObject({
      id,
      name,
      kind: "user",
      owner: id,
      limited: false,
      collections: { read: 0, write: 0 },
    });
    expect((await me(bearer(refreshToken))).statusCode).toBe(401);
  });

  test("for a cookie gives no secret to the page, and scripts do not see the cookie", async () => {
    const { id, name } = await addUser();
    const answer = await login(name, password, "cookie");
    expect(answer.statusCode).toBe(200);
    const [cookie] = answer.cookies;
    expect(cookie).toMatchObject({
      name: `candor_session_${door.port}`,
      httpOnly: true,
      sameSite: "Strict",
      path: "/",
    });
    const secret = cookie?.value ?? "";
    expect(secret).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(answer.body).not.toContain(secret);
    expect(answer.json()).toMatchObject({ accessToken: null, refreshToken: null });
    expect(new Date(cookie?.expires ?? 0).getTime()).toBeGreaterThan(Date.now());
    expect((await me(page(secret))).json()).toMatchObject({ id, kind: "user" });
    // The secret is for the cookie, not for a header.
    expect((await me(bearer(secret))).statusCode).toBe(401);
    const { cookie: alone } = page(secret);
    const bare = await ask("POST", "/auth/logout", { headers: { cookie: alone }, payload: {} });
    expect(bare.statusCode).toBe(403);
  });

  test("answers the same whatever was wrong", async () => {
    const { name } = await addUser();
    const asleep = await addUser();
    await ask("PATCH", `/users/${asleep.id}`, {
      headers: bearer(door.app.access.localKey),
      payload: { disabled: true },
    });
    const answers = [
      await login(name, "wrong"),
      await login("nobody"),
      await login(asleep.name),
      await login("local"),
      await login(name, "x".repeat(1000)),
      await login(name, `${password}\u0000`),
    ];
    const shown = answers.map(({ statusCode, headers, body }) => {
      const { requestId: _own, instance: _entry, ...problem } = JSON.parse(body);
      const { "x-request-id": _id, date: _date, ...rest } = headers;
      const same = Object.entries(rest).filter(([header]) => !header.startsWith("ratelimit"));
      return { statusCode, problem, headers: Object.fromEntries(same) };
    });
    expect(shown[0]).toMatchObject({ statusCode: 401, problem: { code: "login_failed" } });
    for (const one of shown) expect(one).toEqual(shown[0]);
    for (const long of ["x".repeat(1001), ""])
      expect((await login(name, long)).statusCode).toBe(422);
  });

  test("is locked after as many guesses as configured, from whatever address", async () => {
    const { name } = await addUser();
    const guesses = await Promise.all(
      Array.from({ length: 20 }, (_, place) =>
        ask("POST", "/auth/login", {
          payload: { name, password: "wrong" },
          from: `192.0.2.${place + 1}`,
        }),
      ),
    );
    const codes = guesses.map((answer) => answer.json().code);
    expect(codes.filter((code) => code === "login_failed")).toHaveLength(5);
    expect(codes.filter((code) => code === "login_locked")).toHaveLength(15);
    const locked = await login(name);
    expect(locked.statusCode).toBe(429);
    expect(Number(locked.headers["retry-after"])).toBeGreaterThan(29 * 60);
    expect(Number(locked.headers["retry-after"])).toBeLessThanOrEqual(30 * 60);
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.now() + 30 * 60_000);
    expect((await login(name)).statusCode).toBe(200);
  });

  test("takes no Idempotency-Key, and neither does signing out: a replay would do nothing", async () => {
    const { name } = await addUser();
    const { accessToken, refreshToken } = (await login(name)).json();
    const key = { "idempotency-key": "k1" };
    const token = door.app.access.signIn.issueToken();
    for (const [path, payload, headers] of [
      ["/auth/login", { name, password }, {}],
      ["/auth/refresh", { refreshToken }, {}],
      ["/auth/logout", {}, bearer(accessToken)],
      ["/auth/logout", { everywhere: true }, bearer(accessToken)],
      ["/auth/signin", { token }, {}],
    ] as const) {
      const answer = await ask("POST", path, { payload, headers: { ...headers, ...key } });
      expect(answer.statusCode, path).toBe(422);
      expect(answer.json().errors).toMatchObject([{ pointer: "/Idempotency-Key" }]);
      expect(answer.cookies).toEqual([]);
    }
    expect((await me(bearer(accessToken))).statusCode).toBe(200);
    const refreshed = await ask("POST", "/auth/refresh", { payload: { refreshToken } });
    expect(refreshed.statusCode).toBe(200);
    expect((await ask("POST", "/auth/signin", { payload: { token } })).statusCode).toBe(200);
  });
});

describe("signing out", () => {
  test("clears the cookie, which is worth nothing from the next request on", async () => {
    const { name } = await addUser();
    const secret = (await login(name, password, "cookie")).cookies[0]?.value ?? "";
    const out = await ask("POST", "/auth/logout", { headers: page(secret), payload: {} });
    expect(out.json()).toMatchObject({ ended: 1 });
    expect(out.cookies).toMatchObject([
      { name: `candor_session_${door.port}`, value: "", httpOnly: true, sameSite: "Strict" },
    ]);
    expect(new Date(out.cookies[0]?.expires ?? Number.NaN).getTime()).toBe(0);
    expect((await me(page(secret))).json().code).toBe("credential_invalid");
  });

  test("everywhere ends tokens and cookies, of this user alone; keys stay", async () => {
    const { id, name } = await addUser();
    const other = await addUser();
    const stranger = (await login(other.name)).json().accessToken;
    const tokens = (await login(name)).json();
    const cookie = (await login(name, password, "cookie")).cookies[0]?.value ?? "";
    const principal = await door.app.access.authenticate({ bearer: tokens.accessToken });
    if (!principal) throw new TypeError("nobody is signed in");
    const { key } = await door.app.access.keys.create(principal, { name: "k" });
    const out = await ask("POST", "/auth/logout", {
      headers: bearer(tokens.accessToken),
      payload: { everywhere: true },
    });
    expect(out.json()).toMatchObject({ ended: 2 });
    expect(out.cookies).toEqual([]);
    for (const headers of [bearer(tokens.accessToken), page(cookie)])
      expect((await me(headers)).statusCode).toBe(401);
    const { refreshToken } = tokens;
    const refreshed = await ask("POST", "/auth/refresh", { payload: { refreshToken } });
    expect(refreshed.json().code).toBe("credential_invalid");
    expect((await me(bearer(stranger))).statusCode).toBe(200);
    expect((await me(bearer(key))).json()).toMatchObject({ kind: "key", owner: id });
    const byKey = await ask("POST", "/auth/logout", { headers: bearer(key), payload: {} });
    expect(byKey.statusCode).toBe(422);
  });
});

describe("tokens", () => {
  test("of 60 forged ones none is accepted, by any operation", async () => {
    const { name } = await addUser("admin");
    const real = (await login(name)).json().accessToken;
    const { config } = door.app.configuration;
    const forged = await forgeTokens(door.app.database, config.security.secretKey, real);
    expect(forged.size).toBeGreaterThanOrEqual(60);
    const seen: Record<string, unknown> = {};
    const expected: Record<string, unknown> = {};
    for (const [what, token] of forged) {
      const answer = await me(bearer(token));
      seen[what] = [answer.statusCode, answer.json().code];
      expected[what] = [401, "credential_invalid"];
      expect(answer.headers["www-authenticate"]).toMatch(/^Bearer/);
    }
    expect(seen).toEqual(expected);
    for (const token of [...forged.values()].slice(0, 5))
      for (const path of ["/users", "/audit", "/collections"])
        expect((await ask("GET", path, { headers: bearer(token) })).statusCode).toBe(401);
    // Where nobody is asked a wrong one is refused too.
    for (const token of [...forged.values()].slice(0, 5)) {
      const health = await door.server.inject({
        url: "/health",
        headers: { host: `127.0.0.1:${door.port}`, ...bearer(token) },
      });
      expect(health.statusCode).toBe(401);
    }
    expect((await me(bearer(real))).statusCode).toBe(200);
  });

  test("say when they have expired, and are refreshed; a refresh token works once", async () => {
    const { name } = await addUser();
    const first = (await login(name)).json();
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.parse(first.accessTokenExpiresAt));
    const late = await me(bearer(first.accessToken));
    expect(late.statusCode).toBe(401);
    expect(late.json().code).toBe("token_expired");
    const refresh = (refreshToken: string) =>
      ask("POST", "/auth/refresh", { payload: { refreshToken } });
    const second = (await refresh(first.refreshToken)).json();
    expect((await me(bearer(second.accessToken))).statusCode).toBe(200);
    const again = await refresh(first.refreshToken);
    expect(again.json()).toMatchObject({ code: "refresh_token_reused", status: 401 });
    expect((await me(bearer(second.accessToken))).json().code).toBe("credential_invalid");
    expect((await refresh(second.refreshToken)).json().code).toBe("credential_invalid");
  });
});

describe("users", () => {
  const local = () => bearer(door.app.access.localKey);

  test.each([
    "",
    "Anna",
    "anna smith",
    "-anna",
    ".anna",
    "@anna",
    "änna",
    "anna\u0000",
    "anna\n",
    "anna/..",
    "local",
    "a".repeat(65),
    "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "\u212aate",
  ])("are not called %j", async (name) => {
    const created = await ask("POST", "/users", { headers: local(), payload: { name } });
    expect(created.statusCode).toBe(422);
    expect(created.json().errors).toMatchObject([{ pointer: "/name" }]);
    const { id } = await addUser();
    const renamed = await ask("PATCH", `/users/${id}`, { headers: local(), payload: { name } });
    expect(renamed.statusCode).toBe(422);
  });

  test.each(["a", "anna", "anna.smith@example.org", "0", "a".repeat(64), "usr_anna"])(
    "may be called %s",
    async (name) => {
      const created = await ask("POST", "/users", { headers: local(), payload: { name } });
      expect(created.statusCode).toBe(201);
      expect(created.json()).toMatchObject({ name, role: "read_only", password: false });
    },
  );

  test("are shown without their password, and changed by themselves with the old one", async () => {
    const { id, name } = await addUser();
    const list = await ask("GET", "/users", { headers: local() });
    expect(list.body).not.toMatch(/argon2|password_hash|canary/);
    const { accessToken } = (await login(name)).json();
    const change = (payload: object) =>
      ask("PATCH", `/users/${id}`, { headers: bearer(accessToken), payload });
    expect((await change({ password: "another one, canary" })).statusCode).toBe(401);
    const changed = await change({ password: "another one, canary", currentPassword: password });
    expect(changed.statusCode).toBe(200);
    expect(changed.body).not.toContain("another one");
    expect((await me(bearer(accessToken))).statusCode).toBe(401);
    expect((await login(name, "another one, canary")).statusCode).toBe(200);
  });
});

describe("what was refused at the door", () => {
  test("is in the audit and in the ledger, with who it was and from where", async () => {
    const { id, name } = await addUser("read_only");
    const { accessToken } = (await login(name)).json();
    const headers = { ...bearer(accessToken), "x-request-id": "refused-at-the-door" };
    const answer = await ask("POST", "/users", { headers, payload: {}, from: "192.0.2.77" });
    expect(answer.statusCode).toBe(403);
    const entries = () => door.app.audit.list({ principal: id, limit: 10 });
    await expect.poll(entries).toMatchObject([
      {
        operation: "users.create",
        outcome: "refused",
        code: "permission_denied",
        role: "read_only",
        address: "192.0.2.77",
        requestId: "refused-at-the-door",
      },
    ]);
    const { instance } = answer.json();
    expect(await door.app.ledger.get(instance.replace("urn:candor:", ""))).toMatchObject({
      code: "permission_denied",
      principal: id,
      operation: "users.create",
    });
    // Whoever is not known to anybody is counted, limited and logged, and fills no table.
    const before = await door.app.audit.list({ limit: 1 });
    expect((await ask("POST", "/users", { payload: {} })).statusCode).toBe(401);
    expect((await ask("GET", "/users")).statusCode).toBe(401);
    expect(await door.app.audit.list({ limit: 1 })).toEqual(before);
  });
});

test("no password and no token is in the logs, the ledger or the audit", async () => {
  const { name } = await addUser();
  const { accessToken, refreshToken } = (await login(name)).json();
  const cookie = (await login(name, password, "cookie")).cookies[0]?.value ?? "";
  await login(name, "wrong canary password");
  await ask("POST", "/auth/refresh", { payload: { refreshToken: `${refreshToken}x` } });
  await me(bearer(`${accessToken}x`));
  const { app } = door;
  await app.database.write(async () => undefined);
  const rows = await Promise.all([
    app.database.read.selectFrom("audit_entries").selectAll().execute(),
    app.database.read.selectFrom("ledger_entries").selectAll().execute(),
  ]);
  const log = () => readFile(join(app.home.logs, "candor.log"), "utf8");
  await expect.poll(log).toContain("/api/v1/auth/refresh");
  const everything = JSON.stringify(rows) + (await log());
  for (const secret of [accessToken, refreshToken, cookie, "canary", door.app.access.localKey])
    expect(everything).not.toContain(secret);
});
