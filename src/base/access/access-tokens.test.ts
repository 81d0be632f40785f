import { sql } from "kysely";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { forgeTokens } from "../../../test/fixtures/rooms/forge-tokens.ts";
import {
  accessLimits,
  freshFolder,
  openRooms,
  testSecretKey,
} from "../../../test/fixtures/rooms/open-rooms.ts";
import type { CandorError } from "#base/errors/index.ts";
import { createAccess, localPrincipal } from "./index.ts";

afterEach(() => vi.useRealTimers());

const password = "correct horse, battery";
const nothing = () => {};

async function signedIn(folder = freshFolder(onTestFinished)) {
  const rooms = await openRooms(folder);
  onTestFinished(() => rooms.close());
  await rooms.access.users.create(localPrincipal, { name: "anna", role: "admin", password });
  const login = () =>
    rooms.access.logins.withPassword({ name: "anna", password, as: "tokens" }, nothing);
  const first = await login();
  return { ...rooms, first, login, token: first.accessToken ?? "" };
}

const outcome = (work: Promise<unknown>) =>
  work.then(
    () => "accepted",
    (thrown: CandorError) => thrown.code,
  );

describe("an access token", () => {
  it("says who signed in by which login, and nothing else", async () => {
    const { first, token } = await signedIn();
    const [header, payload] = token
      .split(".")
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, "base64url").toString()));
    expect(header).toEqual({ alg: "EdDSA", typ: "at+jwt", kid: expect.any(String) });
    expect(payload).toEqual({
      sub: first.principal.id,
      sid: expect.stringMatching(/^ses_/),
      iss: "candor",
      aud: "candor",
      iat: expect.any(Number),
      exp: payload.iat + accessLimits.accessTokenMinutes * 60,
    });
    expect(first.accessTokenExpiresAt).toBe(new Date(payload.exp * 1000).toISOString());
  });

  it("that is forged is not accepted, whatever it says", async () => {
    const { access, database, token } = await signedIn();
    const forged = await forgeTokens(database, testSecretKey, token);
    expect(forged.size).toBeGreaterThan(60);
    expect(new Set(forged.values()).size).toBe(forged.size);
    const outcomes: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const [name, bearer] of forged) {
      outcomes[name] = await outcome(access.authenticate({ bearer }));
      expected[name] = "credential_invalid";
    }
    expect(outcomes).toEqual(expected);
    expect(await outcome(access.authenticate({ bearer: token }))).toBe("accepted");
  });

  it("ends at its time, with its login, and with its user", async () => {
    const { access, token, login, first } = await signedIn();
    const who = (bearer: string | null) => outcome(access.authenticate({ bearer: bearer ?? "" }));
    vi.useFakeTimers({ toFake: ["Date"] });
    const end = Date.parse(first.accessTokenExpiresAt ?? "");
    vi.setSystemTime(end - 1);
    expect(await who(token)).toBe("accepted");
    vi.setSystemTime(end);
    expect(await who(token)).toBe("token_expired");
    vi.setSystemTime(end - 1000);
    const other = await login();
    const principal = await access.authenticate({ bearer: other.accessToken ?? "" });
    if (!principal) throw new TypeError("nobody is signed in");
    await access.signOut(principal, false);
    expect(await who(other.accessToken)).toBe("credential_invalid");
    expect(await who(token)).toBe("accepted");
    await access.users.delete(localPrincipal, "anna", false, nothing);
    expect(await who(token)).toBe("credential_invalid");
  });

  it("of another installation is not accepted", async () => {
    const [one, other] = [await signedIn(), await signedIn()];
    // The same user and login, so that only the signature is foreign.
    const [, payload = ""] = other.token.split(".");
    const { sub, sid } = JSON.parse(Buffer.from(payload, "base64url").toString());
    await one.database.write(async ({ tables }) => {
      const user = await tables.selectFrom("users").selectAll().executeTakeFirstOrThrow();
      await tables
        .insertInto("users")
        .values({ ...user, id: sub, name: "other" })
        .execute();
      await tables
        .insertInto("logins")
        .values({ id: sid, user_id: sub, created_at: 1, expires_at: 1e15, revoked_at: null })
        .execute();
    });
    expect(await outcome(one.access.authenticate({ bearer: other.token }))).toBe(
      "credential_invalid",
    );
    expect(await outcome(other.access.authenticate({ bearer: other.token }))).toBe("accepted");
  });
});

describe("the signing key", () => {
  it("is made once, however many ask for it at once, and lies sealed in the database", async () => {
    const { access, database, token } = await signedIn();
    const create = (secretKey: string, reported: unknown[] = []) =>
      createAccess({
        database,
        secretKey: () => secretKey,
        limits: accessLimits,
        report: async (thrown) => void reported.push(thrown),
      });
    const again = create(testSecretKey);
    const asked = Array.from({ length: 10 }, () => again.authenticate({ bearer: token }));
    for (const principal of await Promise.all(asked)) expect(principal?.name).toBe("anna");
    const rows = await database.read.selectFrom("secrets").selectAll().execute();
    expect(rows.map(({ name }) => name)).toEqual(["token-signing-key"]);
    expect(Buffer.from(rows[0]?.sealed ?? []).includes("-----")).toBe(false);
    expect(await outcome(access.authenticate({ bearer: token }))).toBe("accepted");
  });

  it("that another secret key sealed is told and made anew: tokens end, and sign-ins go on", async () => {
    const { database, token, first } = await signedIn();
    const reported: CandorError[] = [];
    const access = createAccess({
      database,
      secretKey: () => "another one, that has been changed by hand",
      limits: accessLimits,
      report: async (thrown) => void reported.push(thrown as CandorError),
    });
    const ask = (bearer: string | null) => outcome(access.authenticate({ bearer: bearer ?? "" }));
    const asked = await Promise.all([token, token, token].map(ask));
    expect(asked).toEqual(["credential_invalid", "credential_invalid", "credential_invalid"]);
    expect(reported.map(({ code }) => code)).toEqual(["secret_unreadable"]);
    const next = await access.logins.refresh(first.refreshToken ?? "", nothing);
    expect(await ask(next.accessToken)).toBe("accepted");
    expect(reported).toHaveLength(1);
  });

  it("that cannot be kept lets nobody in, and is tried again", async () => {
    const rooms = await openRooms(freshFolder(onTestFinished));
    onTestFinished(() => rooms.close());
    const { access, database } = rooms;
    const refuse = `create trigger refuse before insert on secrets begin select raise(abort, 'no'); end`;
    await database.write(async ({ tables }) => void (await sql.raw(refuse).execute(tables)));
    await access.users.create(localPrincipal, { name: "anna", password });
    const login = () =>
      access.logins.withPassword({ name: "anna", password, as: "tokens" }, nothing);
    await expect(login()).rejects.toThrow();
    expect(await database.read.selectFrom("logins").select("id").execute()).toEqual([]);
    await database.write(
      async ({ tables }) => void (await sql.raw("drop trigger refuse").execute(tables)),
    );
    const { accessToken } = await login();
    expect(await outcome(access.authenticate({ bearer: accessToken ?? "" }))).toBe("accepted");
  });
});
