import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { accessLimits, freshFolder, openRooms } from "../../../test/fixtures/rooms/open-rooms.ts";
import { type CandorError, toProblem } from "#base/errors/index.ts";
import { createAccessTokens } from "./access-tokens.ts";
import { localPrincipal } from "./index.ts";
import { createLockOut } from "./lock-out.ts";
import { createLogins } from "./logins.ts";
import { createPasswords } from "./passwords.ts";
import { createSignIn } from "./sign-in.ts";
import type { UserChange } from "./update-user.ts";

afterEach(() => vi.useRealTimers());

const password = "correct horse, battery";
const minute = 60_000;
const nothing = () => {};

async function open() {
  const rooms = await openRooms(freshFolder(onTestFinished));
  onTestFinished(() => rooms.close());
  const { access } = rooms;
  const add = (name: string, given?: string) =>
    access.users.create(localPrincipal, { name, password: given });
  const login = (name: string, given: string, as: "tokens" | "cookie" = "tokens") =>
    access.logins.withPassword({ name, password: given, as }, nothing);
  return { ...rooms, add, login };
}

/** The code of what a promise was refused with, or "done". */
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "done",
    (thrown: CandorError) => thrown.code,
  );

const count = (codes: readonly string[], code: string) =>
  codes.filter((one) => one === code).length;

describe("a login", () => {
  it("gives tokens, or a cookie and no token; what is kept of them is a hash", async () => {
    const { access, database, add, login } = await open();
    const { id } = await add("anna", password);
    const tokens = await login("anna", password);
    expect(tokens).toMatchObject({
      principal: { id, name: "anna", role: "read_only" },
      accessToken: expect.stringMatching(/^eyJ/),
      refreshToken: expect.stringMatching(/^candor_refresh_[A-Za-z0-9_-]{43}$/),
      cookie: null,
    });
    const cookie = await login("ANNA", password, "cookie");
    expect(cookie).toMatchObject({ accessToken: null, refreshToken: null });
    const secret = cookie.cookie?.secret ?? "";
    for (const credentials of [{ bearer: tokens.accessToken ?? "" }, { session: secret }])
      expect(await access.authenticate(credentials)).toMatchObject({
        id,
        kind: "user",
        owner: id,
        limited: false,
      });
    const [user] = await access.users.list({ limit: 1 });
    expect(user?.lastLoginAt).not.toBeNull();
    const tables = ["logins", "refresh_tokens", "sessions", "users"] as const;
    const rows = await Promise.all(
      tables.map((table) => database.read.selectFrom(table).selectAll().execute()),
    );
    for (const kept of [tokens.accessToken, tokens.refreshToken, secret, password])
      expect(JSON.stringify(rows)).not.toContain(kept);
  });

  it("says the same of whatever is wrong", async () => {
    const { access, add, login } = await open();
    await add("anna", password);
    await add("asleep", password);
    await access.users.update(localPrincipal, "asleep", { disabled: true }, nothing);
    await add("without");
    const problems = [];
    for (const [name, given] of [
      ["anna", "wrong"],
      ["nobody", password],
      ["asleep", password],
      ["without", password],
      ["without", ""],
      ["anna", `${password}\u0000`],
      ["anna", "x".repeat(1000)],
      ["anna", "\ud83d"],
      ["local", password],
      ["\u0000", password],
    ] as const) {
      const thrown: unknown = await login(name, given).catch((error: unknown) => error);
      problems.push(toProblem(thrown, { requestId: null, ledgerId: null }));
    }
    expect(problems[0]).toMatchObject({ code: "login_failed", status: 401 });
    for (const problem of problems) expect(problem).toEqual(problems[0]);
  });

  it("does not go through where the user was changed while the password was looked at", async () => {
    const { access, database, add } = await open();
    const passwords = createPasswords(12);
    const secretKey = () => "of this test alone, and long enough for it";
    const looked = { at: Promise.withResolvers<void>(), on: Promise.withResolvers<void>() };
    const logins = createLogins(
      {
        database,
        tokens: createAccessTokens({ database, secretKey, minutes: 30, report: async () => {} }),
        lockOut: createLockOut(database, accessLimits),
        signIn: createSignIn(database, accessLimits),
        passwords: {
          ...passwords,
          verify: async (...given) => {
            const right = await passwords.verify(...given);
            looked.at.resolve();
            await looked.on.promise;
            return right;
          },
        },
      },
      7,
      async () => {},
    );
    const entering = async (as: "tokens" | "cookie", work: () => Promise<unknown>) => {
      Object.assign(looked, { at: Promise.withResolvers(), on: Promise.withResolvers() });
      const code = codeOf(logins.withPassword({ name: "anna", password, as }, nothing));
      await looked.at.promise;
      await work();
      looked.on.resolve();
      return code;
    };
    const change = (wanted: UserChange) => () =>
      access.users.update(localPrincipal, "anna", wanted, nothing);
    const remove = () => access.users.delete(localPrincipal, "anna", false, nothing);
    await add("anna", password);
    for (const as of ["tokens", "cookie"] as const) {
      expect(await entering(as, change({ name: "anna" }))).toBe("done");
      expect(await entering(as, change({ password: "another horse, staple" }))).toBe(
        "login_failed",
      );
      await change({ password })();
      expect(await entering(as, change({ disabled: true }))).toBe("login_failed");
      await change({ disabled: false })();
    }
    expect(await entering("tokens", remove)).toBe("login_failed");
    const standing = await database.read
      .selectFrom("logins")
      .select("id")
      .where("revoked_at", "is", null)
      .execute();
    expect(standing).toEqual([]);
    expect(await database.read.selectFrom("sessions").select("hash").execute()).toEqual([]);
  });
});

describe("the lock", () => {
  const { failedLogins, lockoutMinutes } = accessLimits;

  it("lets exactly as many guesses through as configured, one after the other and all at once", async () => {
    const { add, login } = await open();
    await add("anna", password);
    for (let guess = 1; guess <= failedLogins; guess += 1)
      expect(await codeOf(login("anna", "wrong"))).toBe("login_failed");
    expect(await codeOf(login("anna", password))).toBe("login_locked");
    const codes = await Promise.all(
      Array.from({ length: 20 }, () => codeOf(login("nobody", "wrong"))),
    );
    expect(count(codes, "login_failed")).toBe(failedLogins);
    expect(count(codes, "login_locked")).toBe(20 - failedLogins);
  });

  it("lasts its time from the last guess that was let through, however often it is tried again", async () => {
    const { add, login } = await open();
    await add("anna", password);
    vi.useFakeTimers({ toFake: ["Date"] });
    const start = Date.now();
    for (let guess = 1; guess < failedLogins; guess += 1) await codeOf(login("anna", "wrong"));
    vi.setSystemTime(start + 10 * minute);
    expect(await codeOf(login("anna", "wrong"))).toBe("login_failed");
    for (const after of [0, 1, lockoutMinutes / 2, lockoutMinutes - 1 / minute]) {
      vi.setSystemTime(start + (10 + after) * minute);
      const left = Math.max((lockoutMinutes - after) * minute, 1000);
      await expect(login("anna", password)).rejects.toMatchObject({
        code: "login_locked",
        status: 429,
        retryAfterMs: left,
      });
    }
    vi.setSystemTime(start + (10 + lockoutMinutes) * minute);
    expect(await codeOf(login("anna", password))).toBe("done");
  });

  it("forgets guesses after its time, and with a right password", async () => {
    const { add, login, database } = await open();
    await add("anna", password);
    vi.useFakeTimers({ toFake: ["Date"] });
    const start = Date.now();
    for (let guess = 1; guess < failedLogins; guess += 1) await codeOf(login("anna", "wrong"));
    vi.setSystemTime(start + lockoutMinutes * minute);
    expect(await codeOf(login("anna", "wrong"))).toBe("login_failed");
    expect(await codeOf(login("anna", password))).toBe("done");
    expect(await database.read.selectFrom("login_failures").selectAll().execute()).toEqual([]);
  });

  it("of one name is the same in whatever case, and no other's", async () => {
    const { add, login } = await open();
    await add("anna", password);
    const names = ["anna", "ANNA", "Anna", "aNNa", "annA", "anNa", "ANNa"];
    const codes = await Promise.all(names.map((name) => codeOf(login(name, "wrong"))));
    expect(count(codes, "login_failed")).toBe(failedLogins);
    await add("bert", password);
    expect(await codeOf(login("bert", password))).toBe("done");
  });
});

it("a hundred logins at once take the memory of a few, and the rest is told to come back", async () => {
  const { login } = await open();
  const before = process.memoryUsage().rss;
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 5);
  const codes = await Promise.all(
    Array.from({ length: 100 }, (_, place) => codeOf(login(`name-${place}`, "wrong"))),
  );
  clearInterval(watch);
  // Two are looked at, sixty-four wait.
  expect(count(codes, "login_failed")).toBe(66);
  expect(count(codes, "overloaded")).toBe(34);
  expect(most).toBeGreaterThan(before);
  // Each takes 64 MiB while it is looked at: all at once would take 6 GiB.
  expect(most - before).toBeLessThan(512 * 1024 * 1024);
});

describe("a refresh token", () => {
  async function signedIn() {
    const rooms = await open();
    await rooms.add("anna", password);
    const first = await rooms.login("anna", password);
    const refresh = (token: string | null) => rooms.access.logins.refresh(token ?? "", nothing);
    const works = async (token: string | null) =>
      codeOf(rooms.access.authenticate({ bearer: token ?? "" }));
    return { ...rooms, first, refresh, works };
  }

  it("is exchanged once for tokens that end when the first would have", async () => {
    const { first, refresh, works } = await signedIn();
    let last = first;
    for (let round = 0; round < 3; round += 1) {
      const next = await refresh(last.refreshToken);
      expect(next.refreshToken).not.toBe(last.refreshToken);
      expect(next.expiresAt).toBe(first.expiresAt);
      expect(next.principal).toEqual(first.principal);
      last = { ...next, cookie: null };
    }
    expect(await works(last.accessToken)).toBe("done");
    expect(await works(first.accessToken)).toBe("done");
  });

  it("that was used before ends the whole sign-in at once", async () => {
    const { first, refresh, works, login } = await signedIn();
    const other = await login("anna", password);
    const second = await refresh(first.refreshToken);
    await expect(refresh(first.refreshToken)).rejects.toMatchObject({
      code: "refresh_token_reused",
      status: 401,
    });
    for (const token of [first.accessToken, second.accessToken])
      expect(await works(token)).toBe("credential_invalid");
    expect(await codeOf(refresh(second.refreshToken))).toBe("credential_invalid");
    expect(await codeOf(refresh(first.refreshToken))).toBe("credential_invalid");
    expect(await works(other.accessToken)).toBe("done");
  });

  it("of two at once is exchanged once, which ends the sign-in too", async () => {
    const { first, refresh, works } = await signedIn();
    const outcomes = await Promise.allSettled([
      refresh(first.refreshToken),
      refresh(first.refreshToken),
    ]);
    const won = outcomes.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    expect(won).toHaveLength(1);
    expect(await works(first.accessToken)).toBe("credential_invalid");
    for (const { accessToken, refreshToken } of won) {
      expect(await works(accessToken)).toBe("credential_invalid");
      expect(await codeOf(refresh(refreshToken))).toBe("credential_invalid");
    }
  });

  it("and what was made with it ends at its time, and with the user", async () => {
    const { access, first, refresh, works } = await signedIn();
    vi.useFakeTimers({ toFake: ["Date"] });
    const end = Date.parse(first.expiresAt);
    vi.setSystemTime(end - 5 * minute);
    const late = await refresh(first.refreshToken);
    expect(late.accessTokenExpiresAt).toBe(late.expiresAt);
    vi.setSystemTime(end - 1);
    expect(await works(late.accessToken)).toBe("done");
    vi.setSystemTime(end);
    expect(await works(late.accessToken)).toBe("credential_invalid");
    expect(await codeOf(refresh(late.refreshToken))).toBe("credential_invalid");
    vi.setSystemTime(end - 2 * minute);
    await access.users.update(localPrincipal, "anna", { disabled: true }, nothing);
    expect(await codeOf(refresh(late.refreshToken))).toBe("credential_invalid");
  });

  it("that is none of ours is refused", async () => {
    const { first, refresh } = await signedIn();
    const token = first.refreshToken ?? "";
    for (const other of ["", token.slice(0, -1), `${token}x`, token.toUpperCase(), "' or 1=1"])
      expect(await codeOf(refresh(other))).toBe("credential_invalid");
    expect(await codeOf(refresh(token))).toBe("done");
  });

  it("goes on working after a restart, as do access tokens", async () => {
    const folder = freshFolder(onTestFinished);
    const before = await openRooms(folder);
    await before.access.users.create(localPrincipal, { name: "anna", password });
    const given = { name: "anna", password, as: "tokens" } as const;
    const first = await before.access.logins.withPassword(given, nothing);
    await before.close();
    const after = await openRooms(folder);
    onTestFinished(() => after.close());
    const { access } = after;
    expect(await access.authenticate({ bearer: first.accessToken ?? "" })).toMatchObject({
      name: "anna",
    });
    const next = await access.logins.refresh(first.refreshToken ?? "", nothing);
    await expect(access.logins.refresh(first.refreshToken ?? "", nothing)).rejects.toMatchObject({
      code: "refresh_token_reused",
    });
    expect(await codeOf(access.authenticate({ bearer: next.accessToken ?? "" }))).toBe(
      "credential_invalid",
    );
  });
});

describe("signing out", () => {
  it("ends the one sign-in or all of them, of the user alone", async () => {
    const { access, add, login } = await open();
    await add("anna", password);
    await add("bert", password);
    const bert = await login("bert", password);
    const one = await login("anna", password);
    const two = await login("anna", password);
    const cookie = (await login("anna", password, "cookie")).cookie;
    const who = (bearer: string | null) => access.authenticate({ bearer: bearer ?? "" });
    const byCookie = () => access.authenticate({ session: cookie?.secret ?? "" });
    const first = await who(one.accessToken);
    if (!first) throw new TypeError("nobody is signed in");
    const heard: (readonly string[])[] = [];
    const forget = access.onChange((affected) => heard.push(affected));
    expect(await access.signOut(first, false)).toEqual({ ended: 1 });
    expect(heard).toEqual([[first.session?.id]]);
    expect(await codeOf(who(one.accessToken))).toBe("credential_invalid");
    expect(await codeOf(access.logins.refresh(one.refreshToken ?? "", nothing))).toBe(
      "credential_invalid",
    );
    const second = await who(two.accessToken);
    if (!second || !(await byCookie())) throw new TypeError("the other sign-ins ended");
    forget();
    expect(await access.signOut(second, true)).toEqual({ ended: 2 });
    expect(heard).toHaveLength(1);
    expect(await codeOf(who(two.accessToken))).toBe("credential_invalid");
    expect(await codeOf(byCookie())).toBe("credential_invalid");
    expect(await who(bert.accessToken)).toMatchObject({ name: "bert" });
  });

  it("is nothing for keys, and for the local key all sessions of the printed link", async () => {
    const { access } = await open();
    const { id } = await access.keys.create(localPrincipal, { name: "k" });
    const key = await access.keys.principalOf(id);
    if (!key) throw new TypeError("the key does not work");
    expect(await codeOf(access.signOut(key, false))).toBe("input_invalid");
    expect(await codeOf(access.signOut(key, true))).toBe("permission_denied");
    expect(await codeOf(access.signOut(localPrincipal, false))).toBe("input_invalid");
    const { secret } = await access.signIn.redeem(access.signIn.issueToken());
    expect(await access.signOut(localPrincipal, true)).toEqual({ ended: 1 });
    expect(await codeOf(access.authenticate({ session: secret }))).toBe("credential_invalid");
  });
});
