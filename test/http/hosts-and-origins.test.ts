import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkConfiguration } from "#base/config/index.ts";
import { operations } from "#operations/index.ts";
import { pathOf } from "../../src/doors/http/routes.ts";
import { settingsByKey } from "../../src/base/config/settings.ts";
import { openRealDoor, type RealDoor } from "./open-real-door.ts";
import { openTestDoor, type TestDoor } from "./open-test-door.ts";
import { sampleOperations } from "./sample-operations.ts";

const listed = "https://studio.example.org";

describe("every Host with every Origin", () => {
  let door: TestDoor;
  beforeAll(async () => {
    door = await openTestDoor(sampleOperations, {
      flags: { "cors.origins": listed, "server.trustedHosts": "candor.example.org" },
    });
  });
  afterAll(() => door.close());

  const own = ["127.0.0.1:PORT", "localhost:PORT", "[::1]:PORT", "candor.example.org"];
  const foreign = [
    "evil.example",
    "evil.example:PORT",
    "127.0.0.1.evil.example:PORT",
    "127.0.0.1:1",
    "candor.example.org.evil.example",
    "169.254.169.254",
    "0:PORT",
  ];
  const origins = [
    undefined,
    "http://127.0.0.1:PORT",
    "http://localhost:PORT",
    "http://[::1]:PORT",
    "https://candor.example.org",
    "http://candor.example.org",
    listed,
    "null",
    "http://evil.example",
    "http://127.0.0.1:1",
    "https://127.0.0.1:PORT",
    "chrome-extension://abcdefghijklmnop",
  ];

  /** Written down once more, independently of the code: a host of ours, and the page of that very host or a listed one. */
  function isAllowed(host: string, origin: string | undefined): boolean {
    if (!own.includes(host)) return false;
    if (origin === undefined || origin === listed || origin === `http://${host}`) return true;
    return host === "candor.example.org" && origin === "https://candor.example.org";
  }

  const pairs = [...own, ...foreign].flatMap((host) => origins.map((origin) => ({ host, origin })));

  test(`${pairs.length} pairs: our own and the listed are answered, all others refused, for reading and for writing`, async () => {
    expect(pairs.length).toBeGreaterThan(80);
    const { authorization = "" } = await door.as("api_user");
    let refusals = 0;
    for (const { host, origin } of pairs) {
      const allowed = isAllowed(host, origin);
      const withPort = (text: string) => text.replace("PORT", String(door.port));
      const headers = {
        authorization,
        host: withPort(host),
        ...(origin === undefined ? {} : { origin: withPort(origin) }),
      };
      const about = `${host} from ${origin}`;
      const read = await door.server.inject({ url: "/api/v1/samples/a", headers });
      expect(read.statusCode, about).toBe(allowed ? 200 : 403);
      const url = "/api/v1/samples";
      const write = await door.server.inject({
        method: "POST",
        url,
        headers,
        payload: { name: "a" },
      });
      expect(write.statusCode, about).toBe(allowed ? 201 : 403);
      if (!allowed) {
        refusals += 2;
        expect(read.json().code).toBe("origin_refused");
        expect(read.headers).not.toHaveProperty("access-control-allow-origin");
      } else if (origin === listed)
        expect(read.headers["access-control-allow-origin"]).toBe(listed);
      expect(read.headers["access-control-allow-origin"]).not.toBe("*");
    }
    const counted = door.app.metrics
      .snapshot()
      .counters.filter(({ labels }) => ["host", "origin"].includes(labels["reason"] ?? ""))
      .reduce((sum, { value }) => sum + value, 0);
    expect(counted).toBe(refusals);
  });
});

describe("strange addresses and headers", () => {
  let door: RealDoor;
  beforeAll(async () => {
    door = await openRealDoor();
  });
  afterAll(() => door.close());

  /** The answer to bytes as they are: no client tidies them up. */
  async function send(target: string, headers: readonly string[] = [], method = "GET") {
    const socket = connect(door.port, "127.0.0.1");
    let text = "";
    socket.on("data", (bytes) => (text += bytes.toString("latin1")));
    const lines = [
      `${method} ${target} HTTP/1.1`,
      "Host: localhost",
      "Connection: close",
      ...headers,
    ];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    await once(socket, "close");
    return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]), text };
  }

  const key = () => `Authorization: Bearer ${door.app.access.localKey}`;

  test.each([
    "//evil.example",
    "//evil.example/",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/%2Fevil.example",
    "/%5Cevil.example",
    "/%2f%2fevil.example/..",
    "/.//evil.example",
    "/docs/",
    "/docs//errors",
    "/docs/..%2f..%2fetc/passwd",
    "/docs/errors/..%2f..%2f..%2fetc%2fpasswd",
    "/docs/errors/%2e%2e",
    "/static/..%2f..%2f..%2fpackage.json",
    "/static/%2e%2e/%2e%2e/package.json",
    "/static/%252e%252e%252fpackage.json",
    "/static/home.js%00.css",
    "/static/home.js/",
    "/STATIC/home.js",
    "/%61pi/v1/collections%00",
    "/docs/errors/not_found;a=b",
    "/?next=//evil.example",
    "/docs?redirect=https://evil.example&url=https://evil.example",
    "http://localhost/docs",
    "http://localhost//evil.example",
    "*",
  ])("%s leads nowhere else, and shows no file", async (target) => {
    const { status, text } = await send(target);
    expect([200, 400, 401, 403, 404]).toContain(status);
    expect(text).not.toMatch(/^location:/im);
    expect(text).not.toMatch(/^refresh:/im);
    expect(text).not.toContain('"dependencies"');
    expect(text).not.toContain("root:");
    if (status !== 200) expect(text).toContain("application/problem+json");
  });

  test.each([
    "/api/v1/collections",
    "/%61pi/v1/collections",
    "/api/%761/collections",
    "/api//v1/collections",
    "/api/v1//collections",
    "//api/v1/collections",
    "/api/v1/collections/",
    "/api/v1%2fcollections",
    "/API/v1/collections",
    "/x/../api/v1/collections",
    "/metrics",
    "/%6detrics",
    "/metrics/",
  ])("%s is answered to nobody who is nobody", async (target) => {
    const { status, text } = await send(target);
    expect([401, 404]).toContain(status);
    expect(text).not.toContain('"items"');
    expect(text).not.toContain("candor_");
  });

  test("headers with names of prototypes are headers like others", async () => {
    const names = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"];
    const headers = names.map((name) => `${name}: {"role":"superadmin"}`);
    expect((await send("/api/v1/collections", headers)).status).toBe(401);
    expect((await send("/api/v1/collections", [...headers, key()])).status).toBe(200);
    expect((await send("/health", ["__proto__: 1", "__proto__: 2"])).status).toBe(200);
    expect(({} as Record<string, unknown>)["role"]).toBeUndefined();
  });

  test("headers that would change method, address, host or role change nothing", async () => {
    const made = await send(
      "/api/v1/collections",
      [
        key(),
        "X-HTTP-Method-Override: POST",
        "X-HTTP-Method: DELETE",
        "X-Method-Override: PATCH",
        "X-Original-URL: /api/v1/keys",
        "X-Rewrite-URL: /api/v1/keys",
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Prefix: //evil.example",
        "Forwarded: host=evil.example;proto=https",
        "X-Forwarded-User: root",
        "Content-Type: application/json",
      ],
      "GET",
    );
    expect(made.status).toBe(200);
    expect(made.text).toContain('"items":[]');
    expect(made.text).not.toContain("evil.example");
    const nobody = ["X-Forwarded-User: local", "X-Remote-User: local", "X-Candor-Principal: local"];
    expect((await send("/api/v1/collections", nobody)).status).toBe(401);
    const post = await send("/api/v1/collections?_method=POST", [key()]);
    expect(post.status).toBe(422);
  });

  test("methods that no page should have are refused", async () => {
    for (const method of ["TRACE", "PROPFIND", "PUT"]) {
      const { status, text } = await send("/health", ["X-Secret: canary-7b"], method);
      expect([400, 404, 405], method).toContain(status);
      expect(text).not.toContain("canary-7b");
    }
    expect(await send("evil.example:443", [key()], "CONNECT")).toMatchObject({ text: "" });
  });

  test("a public bind serves nobody more than the pages, whatever is configured", async () => {
    // There is no setting that turns signing in off, so there is nothing for the start to refuse.
    const names = [...settingsByKey.keys()].join(" ");
    expect(names).not.toMatch(/anonymous|\bauth|insecure|disable|allowAll|noLogin/i);
    const faults = checkConfiguration({
      flags: { "server.host": "0.0.0.0" },
      environment: {},
      workingDirectory: "/nowhere",
    });
    expect(faults).toContainEqual(
      expect.objectContaining({ code: "bind_public", severity: "warning" }),
    );
    const wide = await openTestDoor(operations, { flags: { "server.host": "0.0.0.0" } });
    const host = `127.0.0.1:${wide.port}`;
    const open = new Set<string>();
    for (const { name, http } of operations) {
      if (!http) continue;
      const url = pathOf(http).replaceAll(/:\w+/g, "a");
      const asked = wide.server.inject({ method: http.method, url, headers: { host } });
      if ((await asked).statusCode !== 401) open.add(name);
    }
    await wide.close();
    const isPublic = operations.filter(({ permission }) => permission === "public");
    expect([...open].toSorted()).toEqual(
      isPublic
        .map(({ name }) => name)
        .filter((name) => open.has(name))
        .toSorted(),
    );
    expect([...open]).not.toContain("keys.create");
  });
});
