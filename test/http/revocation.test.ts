import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { localPrincipal, type Principal } from "#base/access/index.ts";
import { openRealDoor, type RealDoor } from "./open-real-door.ts";

const password = "correct horse, battery";
const minute = 60_000;
let door: RealDoor;
let made = 0;
let hash: string | null;
/** Streams that a test left open. */
const open = new Set<AbortController>();

/** A door with a kind of job that does not end by itself, and a hashed password. */
async function openDoor(limits: { heartbeatMs?: number } = {}): Promise<RealDoor> {
  const opened = await openRealDoor({ limits });
  const { access, database, jobs } = opened.app;
  jobs.define({
    kind: "test.wait",
    unit: "items",
    run: async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return {};
    },
  });
  await access.users.create(localPrincipal, { name: "first", password });
  const first = database.read.selectFrom("users").select("password_hash");
  ({ password_hash: hash } = await first.executeTakeFirstOrThrow());
  return opened;
}

beforeAll(async () => {
  door = await openDoor();
});
afterAll(() => door.close());
afterEach(() => {
  vi.useRealTimers();
  for (const controller of open) controller.abort();
  open.clear();
});

type Somebody = {
  readonly id: string;
  readonly name: string;
  readonly principal: Principal;
  readonly refreshToken: string;
  readonly token: Record<string, string>;
  readonly cookie: Record<string, string>;
};

const bearer = (secret: string | null) => ({ authorization: `Bearer ${secret ?? ""}` });
const nothing = () => {};

/** A user with a token and a cookie; all have the same password, which is hashed once. */
async function somebody(): Promise<Somebody> {
  const { access, database } = door.app;
  const name = `somebody-${(made += 1)}`;
  const { id } = await access.users.create(localPrincipal, { name, role: "api_user" });
  const session = access.signIn.prepare();
  await database.write(async (handle) => {
    await handle.tables
      .updateTable("users")
      .set({ password_hash: hash })
      .where("id", "=", id)
      .execute();
    await access.signIn.keep(handle, session, id);
  });
  const tokens = await access.logins.withPassword({ name, password, as: "tokens" }, nothing);
  const principal = await access.authenticate({ bearer: tokens.accessToken ?? "" });
  if (!principal) throw new TypeError("nobody is signed in");
  return {
    id,
    name,
    principal,
    refreshToken: tokens.refreshToken ?? "",
    token: bearer(tokens.accessToken),
    cookie: { cookie: `candor_session_${door.port}=${session.secret}` },
  };
}

async function keyOf(by: Principal, wanted: { grants?: []; expiresAt?: string } = {}) {
  const { id, key } = await door.app.access.keys.create(by, { name: "k", ...wanted });
  const principal = await door.app.access.keys.principalOf(id);
  if (!principal) throw new TypeError("the key does not work");
  return { id, principal, headers: bearer(key) };
}

/** A job of this owner that does not end by itself. */
async function startJob(owner: string): Promise<string> {
  const { database, jobs } = door.app;
  const target = { type: "collection", id: `col_${(made += 1)}` };
  const { id } = await database.write((handle) =>
    jobs.enqueue(handle, "test.wait", { owner, target, input: {} }),
  );
  jobs.dispatch();
  return id;
}

type Followed = {
  /** What the stream said at its end: the problem of its last event, if that is one. */
  readonly end: Promise<{ code: string; status: number; detail: string } | null>;
  readonly ended: () => boolean;
  readonly heartbeats: () => number;
};

/** Follows a job over a socket, once its first event is there. */
async function follow(job: string, headers: Record<string, string>): Promise<Followed> {
  const controller = new AbortController();
  open.add(controller);
  const answer = await fetch(`${door.url}/api/v1/jobs/${job}/events`, {
    headers,
    signal: controller.signal,
  });
  expect(answer.status).toBe(200);
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) throw new TypeError("the answer has no body");
  let text = "";
  while (!text.includes("event: job.progress")) text += (await reader.read()).value ?? "";
  let done = false;
  const end = (async () => {
    for (;;) {
      const next = await reader.read();
      if (next.done) break;
      text += next.value;
    }
    done = true;
    const found = /event: error\ndata: (.*)\n\n$/.exec(text)?.[1];
    return found === undefined ? null : JSON.parse(found);
  })();
  end.catch(nothing);
  return { end, ended: () => done, heartbeats: () => text.split(": heartbeat\n\n").length - 1 };
}

const statusOf = async (headers: Record<string, string>, path = "/auth/me") =>
  (await fetch(`${door.url}/api/v1${path}`, { headers })).status;

const changed = {
  code: "credential_invalid",
  status: 401,
  detail: "What you may do has changed: connect again to go on listening.",
};

describe("a stream ends, and says why, when", () => {
  const access = () => door.app.access;
  const ways: [string, (who: Somebody) => Promise<Record<string, string>>, Ending][] = [
    ["the caller signs out", async ({ token }) => token, endings("signOut", [401, 200])],
    [
      "a cookie's session ends everywhere",
      async ({ cookie }) => cookie,
      endings("everywhere", [401, 401]),
    ],
    ["the caller is disabled", async ({ token }) => token, endings("disable", [401, 401])],
    ["the caller is deleted", async ({ cookie }) => cookie, endings("delete", [401, 401])],
    ["the caller's password is reset", async ({ token }) => token, endings("password", [401, 401])],
    ["the caller's role is changed", async ({ token }) => token, endings("demote", [200, 200])],
    ["the caller is given a right", async ({ cookie }) => cookie, endings("grant", [200, 200])],
    ["a refresh token is used twice", async ({ token }) => token, endings("reuse", [401, 200])],
  ];

  type Ending = { readonly how: How; readonly after: readonly [token: number, cookie: number] };
  type How =
    | "signOut"
    | "everywhere"
    | "disable"
    | "delete"
    | "password"
    | "demote"
    | "grant"
    | "reuse";
  function endings(how: How, after: Ending["after"]): Ending {
    return { how, after };
  }

  const act: Record<How, (who: Somebody) => Promise<unknown>> = {
    signOut: ({ principal }) => access().signOut(principal, false),
    everywhere: ({ principal }) => access().signOut(principal, true),
    disable: ({ id }) => access().users.update(localPrincipal, id, { disabled: true }, nothing),
    delete: ({ id }) => access().users.delete(localPrincipal, id, false, nothing),
    password: ({ id }) =>
      access().users.update(localPrincipal, id, { password: "another, long one" }, nothing),
    demote: ({ id }) => access().users.update(localPrincipal, id, { role: "read_only" }, nothing),
    grant: ({ id }) =>
      access().grants.set(localPrincipal, {
        collection: "col_x",
        principal: id,
        right: "read",
        onPrincipal: nothing,
      }),
    reuse: async ({ refreshToken }) => {
      await access().logins.refresh(refreshToken, nothing);
      await access()
        .logins.refresh(refreshToken, nothing)
        .catch((thrown: { code: string }) => expect(thrown.code).toBe("refresh_token_reused"));
    },
  };

  test.each(ways)("%s", async (_what, headersOf, { how, after }) => {
    const [who, other] = [await somebody(), await somebody()];
    const headers = await headersOf(who);
    const job = await startJob(who.id);
    const stream = await follow(job, headers);
    const others = await follow(await startJob(other.id), other.token);
    await act[how](who);
    expect(await stream.end).toMatchObject(changed);
    // What was ended is worth nothing from the next request on; what was changed is what it is now.
    expect([await statusOf(who.token), await statusOf(who.cookie)]).toEqual(after);
    if (how === "demote") expect(await statusOf(headers, `/jobs/${job}`)).toBe(403);
    if (how === "grant") await follow(job, headers);
    expect(others.ended()).toBe(false);
    expect(await statusOf(other.token)).toBe(200);
  });
});

describe("a key's stream ends when", () => {
  type Keys = { readonly maker: string; readonly made: readonly string[] };
  const revoke = (id: string) => door.app.access.keys.revoke(localPrincipal, id);
  const cases: [string, (who: Somebody, keys: Keys) => Promise<unknown>][] = [
    ["it is revoked", (_who, keys) => Promise.all(keys.made.map(revoke))],
    ["the key that made it is revoked", (_who, keys) => revoke(keys.maker)],
    [
      "its user is disabled",
      ({ id }) => door.app.access.users.update(localPrincipal, id, { disabled: true }, nothing),
    ],
    [
      "its user is deleted",
      ({ id }) => door.app.access.users.delete(localPrincipal, id, false, nothing),
    ],
  ];

  test.each(cases)("%s, limited or not", async (_what, act) => {
    const who = await somebody();
    const maker = await keyOf(who.principal);
    const plain = await keyOf(maker.principal);
    const limited = await keyOf(maker.principal, { grants: [] });
    const streams = [
      await follow(await startJob(who.id), plain.headers),
      await follow(await startJob(limited.id), limited.headers),
    ];
    await act(who, { maker: maker.id, made: [plain.id, limited.id] });
    for (const { end } of streams) expect(await end).toMatchObject(changed);
    for (const { headers } of [plain, limited]) expect(await statusOf(headers)).toBe(401);
  });

  test("what its user was given is changed, and is worth less from the next request on", async () => {
    const who = await somebody();
    const set = (right: "read" | "owner") =>
      door.app.access.grants.set(localPrincipal, {
        collection,
        principal: who.id,
        right,
        onPrincipal: nothing,
      });
    const { id: collection } = await door.app.search.collections.create(localPrincipal, {
      name: `notes-${(made += 1)}`,
    });
    await set("owner");
    const { id, key } = await door.app.access.keys.create(who.principal, {
      name: "k",
      grants: [{ collection, right: "owner" }],
    });
    const headers = bearer(key);
    const write = () =>
      fetch(`${door.url}/api/v1/collections/${collection}`, {
        method: "PATCH",
        headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify({ description: "new" }),
      });
    expect((await write()).status).toBe(200);
    const stream = await follow(await startJob(id), headers);
    await set("read");
    expect(await stream.end).toMatchObject(changed);
    expect((await write()).status).toBe(403);
    expect(await statusOf(headers, `/collections/${collection}`)).toBe(200);
    await door.app.access.grants.remove(localPrincipal, {
      collection,
      principal: who.id,
      onPrincipal: nothing,
    });
    expect(await statusOf(headers, `/collections/${collection}`)).toBe(404);
  });
});

describe("at each sign of life the caller is looked at again: a stream", () => {
  let calm: RealDoor;
  beforeAll(async () => {
    calm = door;
    door = await openDoor({ heartbeatMs: 20 });
  });
  afterAll(async () => {
    await door.close();
    door = calm;
  });

  test("ends when the caller's token is over", async () => {
    const who = await somebody();
    const stream = await follow(await startJob(who.id), who.token);
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.now() + 31 * minute);
    expect(await stream.end).toMatchObject({ code: "token_expired", status: 401 });
    expect(await statusOf(who.token)).toBe(401);
  });

  test("ends when the caller's key is over", async () => {
    const who = await somebody();
    const expiresAt = new Date(Date.now() + 10 * minute).toISOString();
    const key = await keyOf(who.principal, { expiresAt });
    const stream = await follow(await startJob(who.id), key.headers);
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.now() + 11 * minute);
    expect(await stream.end).toMatchObject({ code: "credential_invalid", status: 401 });
    expect(await statusOf(key.headers)).toBe(401);
  });

  test("ends when the caller's session is over", async () => {
    const who = await somebody();
    const stream = await follow(await startJob(who.id), who.cookie);
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.now() + 12 * 60 * minute + 1);
    expect(await stream.end).toMatchObject({ code: "credential_invalid", status: 401 });
  });

  test("goes on while nothing of its caller changes", async () => {
    const { access, jobs } = door.app;
    const [who, other] = [await somebody(), await somebody()];
    const job = await startJob(who.id);
    const stream = await follow(job, who.token);
    await access.users.update(localPrincipal, other.id, { disabled: true }, nothing);
    await access.logins.refresh(who.refreshToken, nothing);
    await access.keys.create(who.principal, { name: "k" });
    const seen = stream.heartbeats();
    await expect.poll(stream.heartbeats).toBeGreaterThan(seen + 2);
    expect(stream.ended()).toBe(false);
    await jobs.cancel(job, { owner: "anybody" });
    expect(await stream.end).toBeNull();
  });
});
