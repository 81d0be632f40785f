import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openTestDoor, type TestDoor } from "./open-test-door.ts";
import { sampleOperations } from "./sample-operations.ts";

const page = "https://studio.example.org";
let door: TestDoor;
let port: number;

beforeAll(async () => {
  door = await openTestDoor(sampleOperations, {
    flags: { "cors.origins": page, "server.trustedHosts": "candor.example.org,fd00::1" },
  });
  ({ port } = door);
});
afterAll(() => door.close());

const health = (headers: Record<string, string>) => door.server.inject({ url: "/health", headers });

describe("Host", () => {
  test.each([
    ["localhost:PORT", 200],
    ["localhost", 200],
    ["LOCALHOST:PORT", 200],
    ["127.0.0.1:PORT", 200],
    ["127.0.0.1", 200],
    ["[::1]:PORT", 200],
    ["[::1]", 200],
    ["candor.example.org", 200],
    ["candor.example.org:PORT", 200],
    ["[fd00::1]:PORT", 200],
    ["localhost:1", 403],
    ["127.0.0.1:80", 403],
    ["[::1]:99999", 403],
    ["candor.example.org:1", 403],
    ["0.0.0.0:PORT", 403],
    ["127.0.0.2:PORT", 403],
    ["evil.example:PORT", 403],
    ["localhost.evil.example:PORT", 403],
    ["evil.candor.example.org", 403],
    ["localhost:PORT@evil.example", 403],
    ["user@localhost:PORT", 403],
    ["localhost:PORT/", 403],
    ["localhost:", 403],
    ["127.1:PORT", 403],
    ["2130706433:PORT", 403],
    ["", 403],
    [" ", 403],
    ["localhost,evil.example", 403],
  ])("%s answers %i", async (host, status) => {
    const answer = await health({ host: host.replace("PORT", String(port)) });
    expect(answer.statusCode).toBe(status);
    if (status === 403) expect(answer.json().code).toBe("origin_refused");
  });
});

describe("Origin", () => {
  test.each([
    ["127.0.0.1:PORT", "http://127.0.0.1:PORT", 200],
    ["localhost:PORT", "http://localhost:PORT", 200],
    ["[::1]:PORT", "http://[::1]:PORT", 200],
    ["candor.example.org", "https://candor.example.org", 200],
    ["candor.example.org", "http://candor.example.org", 200],
    ["127.0.0.1:PORT", page, 200],
    ["127.0.0.1:PORT", "http://localhost:PORT", 403],
    ["127.0.0.1:PORT", "https://127.0.0.1:PORT", 403],
    ["127.0.0.1:PORT", "http://127.0.0.1", 403],
    ["127.0.0.1:PORT", "http://127.0.0.1:1", 403],
    ["127.0.0.1:PORT", "http://evil.example", 403],
    ["127.0.0.1:PORT", "http://evil.example:PORT", 403],
    ["evil.example:PORT", "http://evil.example:PORT", 403],
    ["127.0.0.1:PORT", `${page}.evil.example`, 403],
    ["127.0.0.1:PORT", `${page}:8443`, 403],
    ["127.0.0.1:PORT", "http://studio.example.org", 403],
    ["127.0.0.1:PORT", "null", 403],
    ["127.0.0.1:PORT", "", 403],
    ["127.0.0.1:PORT", "*", 403],
    ["127.0.0.1:PORT", "file://", 403],
  ])("%s called from %s answers %i", async (host, origin, status) => {
    const answer = await health({
      host: host.replace("PORT", String(port)),
      origin: origin.replace("PORT", String(port)),
    });
    expect(answer.statusCode).toBe(status);
    const allowed = answer.headers["access-control-allow-origin"];
    expect(allowed).toBe(status === 200 && origin === page ? page : undefined);
    expect(answer.headers["vary"]).toContain("Origin");
  });

  test("preflights of a listed page are answered, those of others refused", async () => {
    const headers = {
      host: `127.0.0.1:${port}`,
      "access-control-request-method": "POST",
      "access-control-request-headers": "x-candor-request",
    };
    const url = "/api/v1/samples";
    const listed = await door.server.inject({
      method: "OPTIONS",
      url,
      headers: { ...headers, origin: page },
    });
    expect(listed.statusCode).toBe(204);
    expect(listed.headers).toMatchObject({
      "access-control-allow-origin": page,
      "access-control-allow-credentials": "true",
      "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
      "access-control-allow-headers":
        "Content-Type, Authorization, X-Requested-With, X-Candor-Request, Idempotency-Key",
      "access-control-max-age": "600",
    });
    const other = await door.server.inject({
      method: "OPTIONS",
      url,
      headers: { ...headers, origin: "https://evil.example" },
    });
    expect(other.statusCode).toBe(403);
    expect(other.headers).not.toHaveProperty("access-control-allow-origin");
  });
});

describe("callers", () => {
  const local = () => ({ host: `127.0.0.1:${port}` });

  test("nobody gets 401 from every operation that is not public, and below the API", async () => {
    for (const { http, permission, name } of sampleOperations) {
      if (!http) continue;
      const url = `${http.root ? "" : "/api/v1"}${http.path}`;
      const answer = await door.server.inject({ method: http.method, url, headers: local() });
      if (permission === "public") expect(answer.statusCode, name).not.toBe(401);
      else {
        expect(answer.statusCode, name).toBe(401);
        expect(answer.json().code).toBe("authentication_required");
        expect(answer.headers["www-authenticate"]).toMatch(/^Bearer/);
      }
    }
    for (const url of ["/metrics", "/api/v1/openapi.json", "/api/v1/nothing", "/api"])
      expect((await door.server.inject({ url, headers: local() })).statusCode, url).toBe(401);
  });

  test("a role that is too low gets 403, whatever the input", async () => {
    const answer = await door.server.inject({
      method: "PATCH",
      url: "/api/v1/samples/a",
      headers: await door.as("api_user"),
      payload: { anything: true },
    });
    expect(answer.statusCode).toBe(403);
    expect(answer.json().code).toBe("permission_denied");
  });

  test.each(["Bearer candor_unknown", "Basic abc", "Bearer", "candor_unknown"])(
    "%s gets 401, also where nobody is asked",
    async (authorization) => {
      for (const url of ["/health", "/api/v1/samples/a"]) {
        const answer = await door.server.inject({ url, headers: { ...local(), authorization } });
        expect(answer.statusCode).toBe(401);
        expect(answer.json().code).toBe("credential_invalid");
      }
    },
  );

  test("the local key is the principal local", async () => {
    const authorization = `Bearer ${door.app.access.localKey}`;
    const answer = await door.server.inject({
      url: "/api/v1/samples/a",
      headers: { ...local(), authorization },
    });
    expect(answer.json().principal).toBe("local");
  });

  test("who may not call is refused before the body is read", async () => {
    const answer = await door.server.inject({
      method: "POST",
      url: "/api/v1/samples",
      headers: { ...local(), "content-type": "application/json" },
      payload: "{ not json",
    });
    expect(answer.statusCode).toBe(401);
  });
});

describe("sessions", () => {
  const local = () => ({ host: `127.0.0.1:${port}` });
  const own = () => ({ ...local(), origin: `http://127.0.0.1:${port}`, "x-candor-request": "1" });

  async function signIn(headers: Record<string, string> = own()) {
    return door.server.inject({
      method: "POST",
      url: "/api/v1/auth/signin",
      headers,
      payload: { token: door.app.access.signIn.issueToken() },
    });
  }

  test("a token gives a cookie that scripts cannot read, once", async () => {
    const token = door.app.access.signIn.issueToken();
    const ask = () =>
      door.server.inject({
        method: "POST",
        url: "/api/v1/auth/signin",
        headers: own(),
        payload: { token },
      });
    const first = await ask();
    expect(first.statusCode).toBe(200);
    const [cookie] = first.cookies;
    expect(cookie).toMatchObject({
      name: `candor_session_${port}`,
      httpOnly: true,
      sameSite: "Strict",
      path: "/",
    });
    expect(cookie).not.toHaveProperty("secure");
    const second = await ask();
    expect(second.statusCode).toBe(401);
    expect(second.json().code).toBe("sign_in_token_invalid");
    expect(second.cookies).toEqual([]);
  });

  test("behind TLS the cookie stays on TLS", async () => {
    const host = "candor.example.org";
    const answer = await signIn({ host, origin: `https://${host}` });
    expect(answer.cookies[0]).toMatchObject({ secure: true });
  });

  test("reading needs the cookie alone, changing a page of ours", async () => {
    const cookie = `other=1; candor_session_${port}=${(await signIn()).cookies[0]?.value}`;
    const read = await door.server.inject({
      url: "/api/v1/samples/a",
      headers: { ...local(), cookie },
    });
    expect(read.json().principal).toBe("local");
    const change = async (headers: Record<string, string>) => {
      const answer = await door.server.inject({
        method: "POST",
        url: "/api/v1/samples",
        headers: { ...local(), cookie, ...headers },
        payload: { name: "a" },
      });
      return answer.statusCode;
    };
    const marked = { "x-candor-request": "1" };
    const origin = `http://127.0.0.1:${port}`;
    expect(await change({ ...marked, origin })).toBe(201);
    expect(await change({ ...marked, origin, "sec-fetch-site": "same-origin" })).toBe(201);
    expect(await change({ ...marked, "sec-fetch-site": "same-origin" })).toBe(201);
    expect(await change({ ...marked, origin: page, "sec-fetch-site": "same-site" })).toBe(201);
    expect(await change({})).toBe(403);
    expect(await change({ origin })).toBe(403);
    expect(await change(marked)).toBe(403);
    expect(await change({ ...marked, "sec-fetch-site": "cross-site" })).toBe(403);
    expect(await change({ ...marked, "sec-fetch-site": "same-site" })).toBe(403);
    expect(await change({ ...marked, "sec-fetch-site": "none" })).toBe(403);
    expect(await change({ ...marked, origin, "sec-fetch-site": "cross-site" })).toBe(403);
    expect(await change({ ...marked, origin: "https://evil.example" })).toBe(403);
  });

  test("a session that is unknown gets 401, but does not stand in the way of signing in", async () => {
    const cookie = `candor_session_${port}=gone`;
    const refused = await door.server.inject({
      url: "/api/v1/samples/a",
      headers: { ...local(), cookie },
    });
    expect(refused.statusCode).toBe(401);
    expect(refused.json().code).toBe("credential_invalid");
    expect((await signIn({ ...own(), cookie })).statusCode).toBe(200);
    expect((await health({ ...local(), cookie })).statusCode).toBe(200);
  });

  test("the cookie of another port is not looked at", async () => {
    const value = (await signIn()).cookies[0]?.value;
    const cookie = `candor_session_${port + 1}=${value}`;
    const answer = await door.server.inject({
      url: "/api/v1/samples/a",
      headers: { ...local(), cookie },
    });
    expect(answer.json().code).toBe("authentication_required");
  });
});
