import { afterEach, describe, expect, test, vi } from "vitest";
import { localPrincipal } from "#base/access/index.ts";
import { ConfigurationInvalidError } from "#base/errors/index.ts";
import { checkConfiguration } from "#base/config/index.ts";
import { openTestDoor, type TestDoor } from "./open-test-door.ts";
import { sampleOperations } from "./sample-operations.ts";

const open = new Set<TestDoor>();
afterEach(async () => {
  vi.useRealTimers();
  for (const door of open) await door.close();
  open.clear();
});

async function openDoor(
  flags: Readonly<Record<string, unknown>>,
  limits: { readonly counted?: number } = {},
): Promise<TestDoor> {
  const door = await openTestDoor(sampleOperations, { flags, limits });
  open.add(door);
  return door;
}

type Ask = {
  readonly url?: string;
  readonly method?: "GET" | "POST";
  readonly from?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly payload?: object;
};

/** Sends one request from an address; the answer's status. */
async function ask(door: TestDoor, { from = "192.0.2.1", headers = {}, ...rest }: Ask = {}) {
  const { url = "/docs/errors", method = "GET", payload } = rest;
  return door.server.inject({
    method,
    url,
    remoteAddress: from,
    headers: { host: `127.0.0.1:${door.port}`, ...headers },
    ...(payload === undefined ? {} : { payload }),
  });
}

const statuses = async (times: number, send: () => ReturnType<typeof ask>) => {
  const seen: number[] = [];
  for (let time = 0; time < times; time += 1) seen.push((await send()).statusCode);
  return seen;
};

const refusals = (door: TestDoor) =>
  door.app.metrics
    .snapshot()
    .counters.filter(({ labels }) => labels["reason"] === "rate_limit")
    .map(({ value }) => value);

const sample = "/api/v1/samples/a";
const wrong = (name: string) => ({ authorization: `Bearer candor_${name}` });

describe("one caller", () => {
  test("gets 429 above its limit, whatever the address; another caller does not", async () => {
    const door = await openDoor({ "security.requestsPerMinute": 60 });
    const headers = await door.as("read_only");
    const seen = await statuses(60, () => ask(door, { url: sample, headers }));
    expect(new Set(seen)).toEqual(new Set([200]));
    for (const from of ["192.0.2.1", "198.51.100.7"]) {
      const answer = await ask(door, { url: sample, headers, from });
      expect(answer.statusCode).toBe(429);
      expect(answer.json()).toMatchObject({ code: "rate_limited", retryable: true });
      const seconds = Number(answer.headers["retry-after"]);
      expect(seconds).toBeGreaterThan(0);
      expect(seconds).toBeLessThanOrEqual(60);
      expect(answer.json().retryAfterMs).toBeLessThanOrEqual(60_000);
    }
    const other = await ask(door, { url: sample, headers: await door.as("api_user") });
    expect(other.statusCode).toBe(200);
    expect(other.headers).toMatchObject({
      "ratelimit-limit": "60",
      "ratelimit-remaining": "59",
      "ratelimit-reset": "60",
    });
    expect(refusals(door)).toEqual([2]);
  });

  test("is limited when what it asks for is refused, too", async () => {
    const door = await openDoor({ "security.requestsPerMinutePerAddress": 10 });
    const headers = await door.as("read_only");
    const send = () => ask(door, { url: "/api/v1/samples", method: "POST", headers, payload: {} });
    expect(await statuses(11, send)).toEqual([...Array<number>(10).fill(403), 429]);
  });

  test("is let in again after a minute, also when the clock was set back", async () => {
    vi.useFakeTimers({ toFake: ["performance", "Date"] });
    const door = await openDoor({ "security.requestsPerMinute": 60 });
    const headers = await door.as("read_only");
    const send = () => ask(door, { url: sample, headers });
    await statuses(60, send);
    vi.setSystemTime(Date.now() - 2 * 365 * 86_400_000);
    expect((await send()).statusCode).toBe(429);
    vi.advanceTimersByTime(60_000);
    expect((await send()).statusCode).toBe(200);
  });

  test("is a user with all their keys; what the operator made for programs counts by itself", async () => {
    const door = await openDoor({ "security.requestsPerMinute": 60 });
    const { access } = door.app;
    const { id } = await access.users.create(localPrincipal, { name: "anna", role: "api_user" });
    const anna = await access.principalOf(id);
    if (!anna) throw new TypeError("the user is not there");
    const keysOf = async (by: typeof anna) => {
      const made = [
        await access.keys.create(by, { name: "one" }),
        await access.keys.create(by, { name: "two", grants: [] }),
      ];
      return made.map(({ key }) => ({ authorization: `Bearer ${key}` }));
    };
    const lastOf = async ([one, two]: Awaited<ReturnType<typeof keysOf>>) => {
      await statuses(60, () => ask(door, { url: sample, headers: one ?? {} }));
      return (await ask(door, { url: sample, headers: two ?? {} })).statusCode;
    };
    expect(await lastOf(await keysOf(anna))).toBe(429);
    expect(await lastOf(await keysOf(localPrincipal))).toBe(200);
  });

  test("has the limit that is set while the server runs", async () => {
    const door = await openDoor({});
    const headers = await door.as("read_only");
    await statuses(70, () => ask(door, { url: sample, headers }));
    await door.app.configuration.set({ "security.requestsPerMinute": 60 });
    expect((await ask(door, { url: sample, headers })).statusCode).toBe(429);
  });
});

describe("one address", () => {
  test("gets 429 above its limit while nobody has signed in there; others do not, and health answers all", async () => {
    const door = await openDoor({ "security.requestsPerMinutePerAddress": 10 });
    expect(await statuses(11, () => ask(door))).toEqual([...Array<number>(10).fill(200), 429]);
    expect((await ask(door, { url: "/nothing" })).statusCode).toBe(429);
    expect((await ask(door, { headers: { cookie: "a=b" } })).statusCode).toBe(429);
    expect((await ask(door, { url: sample, headers: await door.as("read_only") })).statusCode).toBe(
      200,
    );
    expect((await ask(door, { from: "192.0.2.2" })).statusCode).toBe(200);
    expect(await statuses(30, () => ask(door, { url: "/health" }))).not.toContain(429);
  });

  test("is the whole network of one IPv6 customer, and the same in both ways of writing IPv4", async () => {
    const door = await openDoor({ "security.requestsPerMinutePerAddress": 10 });
    for (let host = 1; host <= 10; host += 1) await ask(door, { from: `2001:db8:0:1::${host}` });
    expect((await ask(door, { from: "2001:db8:0:1:ffff::1" })).statusCode).toBe(429);
    expect((await ask(door, { from: "2001:db8:0:2::1" })).statusCode).toBe(200);
    await statuses(10, () => ask(door, { from: "::ffff:192.0.2.9" }));
    expect((await ask(door, { from: "192.0.2.9" })).statusCode).toBe(429);
  });

  test("is the connection's, whatever a client says it is", async () => {
    const door = await openDoor({ "security.requestsPerMinutePerAddress": 10 });
    const forged = (at: number) => ({
      "x-forwarded-for": `203.0.113.${at}`,
      "x-real-ip": `203.0.113.${at}`,
      forwarded: `for=203.0.113.${at}`,
      "cf-connecting-ip": `203.0.113.${at}`,
    });
    const seen: number[] = [];
    for (let at = 0; at < 11; at += 1)
      seen.push((await ask(door, { headers: forged(at) })).statusCode);
    expect(seen.at(-1)).toBe(429);
  });

  test("is the one that a named proxy saw, and nothing that stood there before it", async () => {
    const door = await openDoor({
      "security.requestsPerMinutePerAddress": 10,
      "server.trustedProxies": "10.0.0.0/8",
    });
    const through = (client: string, from = "10.1.2.3") =>
      ask(door, { from, headers: { "x-forwarded-for": client } });
    expect(await statuses(11, () => through("203.0.113.1"))).toContain(429);
    expect((await through("203.0.113.2")).statusCode).toBe(200);
    expect((await through("198.51.100.1, 203.0.113.1")).statusCode).toBe(429);
    // Somebody else who says the same is counted as somebody else.
    const seen = await statuses(11, () => through("203.0.113.2", "172.16.0.1"));
    expect(seen.at(-1)).toBe(429);
    expect((await through("203.0.113.2")).statusCode).toBe(200);
  });

  test("is forgotten when many others asked since: the memory is bounded", async () => {
    const door = await openDoor({ "security.requestsPerMinutePerAddress": 10 }, { counted: 50 });
    await statuses(10, () => ask(door));
    const send = (at: number) => ask(door, { from: `10.0.0.${at}` });
    for (let at = 1; at <= 49; at += 1) await send(at);
    expect((await ask(door)).statusCode).toBe(429);
    for (let at = 51; at <= 100; at += 1) await send(at);
    expect((await ask(door)).statusCode).toBe(200);
  });
});

describe("guessing", () => {
  const limits = { "security.failuresPerMinutePerAddress": 3 };

  test("keys ends with 429, without any look at the next one", async () => {
    const door = await openDoor(limits);
    const { key } = await door.app.access.keys.create(localPrincipal, { name: "right" });
    let at = 0;
    const guess = () => ask(door, { url: sample, headers: wrong(`guess${(at += 1)}`) });
    expect(await statuses(4, guess)).toEqual([401, 401, 401, 429]);
    // Neither health nor a right key that nobody knows yet tells the guesser anything.
    const right = { authorization: `Bearer ${key}` };
    expect((await ask(door, { url: "/health", headers: wrong("more") })).statusCode).toBe(429);
    expect((await ask(door, { url: sample, headers: right })).statusCode).toBe(429);
    expect((await ask(door, { url: sample, headers: right, from: "192.0.2.2" })).statusCode).toBe(
      200,
    );
  });

  test("does not lock out who was let in before, until that credential is revoked", async () => {
    const door = await openDoor(limits);
    const made = await door.app.access.keys.create(localPrincipal, { name: "neighbour" });
    const headers = { authorization: `Bearer ${made.key}` };
    expect((await ask(door, { url: sample, headers })).statusCode).toBe(200);
    await statuses(5, () => ask(door, { url: sample, headers: wrong("guess") }));
    expect((await ask(door, { url: sample, headers })).statusCode).toBe(200);
    await door.app.access.keys.revoke(localPrincipal, made.id);
    expect(await statuses(2, () => ask(door, { url: sample, headers }))).toEqual([429, 429]);
  });

  test("sign-in links counts as well, and ends before the right one is looked at", async () => {
    const door = await openDoor(limits);
    const signIn = (token: string, cookie?: string) =>
      ask(door, {
        url: "/api/v1/auth/signin",
        method: "POST",
        headers: cookie === undefined ? {} : { cookie },
        payload: { token },
      });
    expect((await signIn("one")).statusCode).toBe(401);
    // A cookie of any kind is no way around.
    expect((await signIn("two", "a=b")).statusCode).toBe(401);
    expect((await signIn("three", `candor_session_${door.port}=gone`)).statusCode).toBe(401);
    const right = door.app.access.signIn.issueToken();
    expect((await signIn(right)).statusCode).toBe(429);
    expect((await signIn(right, "a=b")).statusCode).toBe(429);
    // Nor is a key that is good: it makes no guess a better one.
    const headers = await door.as("read_only");
    await ask(door, { url: sample, headers, from: "192.0.2.2" });
    const url = "/api/v1/auth/signin";
    const payload = { token: right };
    expect((await ask(door, { url, method: "POST", headers, payload })).statusCode).toBe(429);
    await expect(door.app.access.signIn.redeem(right)).resolves.toBeDefined();
  });

  test("sessions counts for the address alone: a browser sends an ended one by itself", async () => {
    const door = await openDoor({ ...limits, "security.requestsPerMinutePerAddress": 10 });
    const cookie = `candor_session_${door.port}=gone`;
    const seen = await statuses(11, () => ask(door, { url: sample, headers: { cookie } }));
    expect(seen).toEqual([...Array<number>(10).fill(401), 429]);
  });
});

test.each([
  ["security.requestsPerMinute", 0],
  ["security.requestsPerMinutePerAddress", 0],
  ["security.failuresPerMinutePerAddress", 0],
  ["security.failuresPerMinutePerAddress", -1],
  ["server.trustedProxies", "0.0.0.0/0"],
  ["server.trustedProxies", "::/0"],
  ["server.trustedProxies", "*"],
  ["server.trustedProxies", "loopback"],
  ["server.trustedProxies", "10.0.0.0/33"],
])("no setting turns limits off: %s %s is refused", async (key, value) => {
  const faults = checkConfiguration({
    flags: { [key]: value },
    environment: { HOME: "/nowhere" },
    workingDirectory: "/nowhere",
  });
  expect(faults).toContainEqual(
    expect.objectContaining({ key, code: "setting_invalid", severity: "fault" }),
  );
  await expect(openDoor({ [key]: value })).rejects.toThrow(ConfigurationInvalidError);
});
