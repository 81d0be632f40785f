import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request as openTls } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  connect as connectTls,
  createServer as createTlsServer,
  type SecureVersion,
} from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  type Certificate,
  checkConfiguration,
  loadCertificate,
  watchCertificate,
} from "#base/config/index.ts";
import { ConfigurationInvalidError, ServerUnreachableError } from "#base/errors/index.ts";
import { call } from "#base/network/index.ts";
import { closeWorkplaces, openWorkplace } from "../faults/start-server.ts";
import { makeCertificate, writeCertificate } from "../fixtures/make-certificate.ts";
import { openTestDoor, type TestDoor } from "./open-test-door.ts";
import { sampleOperations } from "./sample-operations.ts";

let folder: string;
let files: { certificate: string; key: string };
let certificate: Certificate;
let door: TestDoor;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "candor-tls-"));
  files = await writeCertificate(folder);
  certificate = load(files);
  door = await openTestDoor(sampleOperations, {
    certificate,
    flags: { "server.trustedHosts": "candor.example.org" },
    limits: { connectMs: 300 },
  });
});
afterAll(async () => {
  await door.close();
  await rm(folder, { recursive: true });
});
afterEach(closeWorkplaces);

function load({ certificate: tlsCertificate, key: tlsKey }: typeof files): Certificate {
  const found = loadCertificate({ tlsCertificate, tlsKey });
  if (found === null) throw new Error("there is a certificate");
  return found;
}

/** Sends a request over TLS and trusts the test's own certificate alone. */
async function ask(path: string, headers: Record<string, string> = {}) {
  const sent = openTls({
    host: "127.0.0.1",
    port: door.port,
    path,
    headers,
    ca: await readFile(files.certificate),
    agent: false,
  });
  sent.end();
  const [answer] = await once(sent, "response");
  answer.resume();
  await once(answer, "end");
  return answer as { statusCode: number; headers: Record<string, string | string[]> };
}

describe("with a certificate", () => {
  test("the server speaks HTTPS, and browsers are told to stay with it, but not under the name localhost", async () => {
    expect(door.url).toBe(`https://127.0.0.1:${door.port}`);
    const answer = await ask("/health");
    expect(answer.statusCode).toBe(200);
    expect(answer.headers["strict-transport-security"]).toBe("max-age=31536000");
    expect(answer.headers["x-content-type-options"]).toBe("nosniff");
    const local = await ask("/health", { host: `localhost:${door.port}` });
    expect(local.statusCode).toBe(200);
    expect(local.headers).not.toHaveProperty("strict-transport-security");
  });

  test("plain HTTP on its port gets no answer", async () => {
    const socket = connect(door.port, "127.0.0.1");
    let text = "";
    socket.on("data", (bytes) => (text += bytes.toString("latin1")));
    socket.on("error", () => socket.destroy());
    socket.write("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await new Promise((resolve) => socket.once("close", resolve));
    expect(text).not.toContain("HTTP/1.1");
  });

  test.each([
    ["TLSv1", false],
    ["TLSv1.1", false],
    ["TLSv1.2", true],
    ["TLSv1.3", true],
  ])("%s is accepted: %s", async (version, accepted) => {
    const socket = connectTls({
      host: "127.0.0.1",
      port: door.port,
      minVersion: version as SecureVersion,
      maxVersion: version as SecureVersion,
      // The client itself would not offer the old ones at its usual level.
      ciphers: "DEFAULT@SECLEVEL=0",
      rejectUnauthorized: false,
    });
    const outcome = await new Promise((resolve) => {
      socket.once("secureConnect", () => resolve(socket.getProtocol()));
      socket.once("error", (error) => resolve("code" in error ? error.code : error.message));
    });
    socket.destroy();
    if (accepted) expect(outcome).toBe(version);
    else expect(outcome).toMatch(/ALERT_PROTOCOL_VERSION|ECONNRESET/);
  });

  test("who never begins to speak TLS is cut, and who says nothing afterwards", async () => {
    const before = refused("too_slow");
    const bare = connect(door.port, "127.0.0.1");
    bare.on("error", () => bare.destroy());
    await new Promise((resolve) => bare.once("close", resolve));
    const silent = connectTls({ host: "127.0.0.1", port: door.port, rejectUnauthorized: false });
    silent.on("error", () => silent.destroy());
    await new Promise((resolve) => silent.once("close", resolve));
    expect(refused("too_slow")).toBe(before + 2);
  });

  test("its own pages are those of https, and its cookie never leaves TLS", async () => {
    const host = `127.0.0.1:${door.port}`;
    const signIn = (origin: string) =>
      door.server.inject({
        method: "POST",
        url: "/api/v1/auth/signin",
        headers: { host, origin, "x-candor-request": "1" },
        payload: { token: door.app.access.signIn.issueToken() },
      });
    const answer = await signIn(`https://${host}`);
    expect(answer.cookies[0]).toMatchObject({ secure: true, httpOnly: true, sameSite: "Strict" });
    expect((await signIn(`http://${host}`)).statusCode).toBe(403);
    const plain = await door.server.inject({
      method: "POST",
      url: "/api/v1/auth/signin",
      headers: { host },
      payload: { token: door.app.access.signIn.issueToken() },
    });
    expect(plain.cookies[0]).toMatchObject({ secure: true });
  });

  test("programs of this machine pin it, and send the key to nobody else", async () => {
    const request = { method: "GET", path: "/health" } as const;
    const server = { url: door.url, key: door.app.access.localKey };
    const pinned = await call({ ...server, pins: [certificate.fingerprint] }, request);
    expect(pinned.status).toBe(200);
    const other = createTlsServer(pairOf(makeCertificate()), (socket) =>
      socket.on("data", (bytes) => heard.push(bytes)),
    );
    const heard: Buffer[] = [];
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const url = `https://127.0.0.1:${port}`;
    await expect(
      call({ ...server, url, pins: [certificate.fingerprint] }, request),
    ).rejects.toThrow(/it shows another certificate/);
    // Without a pin there is no TLS, with one no plain HTTP, and no other machine in any case.
    for (const wrong of [
      { url },
      { url: "http://127.0.0.1:1", pins: ["aa"] },
      { url: "https://192.0.2.1:1", pins: ["aa"] },
    ])
      await expect(call({ ...server, ...wrong }, request)).rejects.toThrow(ServerUnreachableError);
    expect(heard).toEqual([]);
    other.close();
  });
});

function refused(reason: string): number {
  const { counters } = door.app.metrics.snapshot();
  return counters.find(({ labels }) => labels["reason"] === reason)?.value ?? 0;
}

function pairOf({ certificate: cert, key }: { certificate: string; key: string }) {
  return { cert, key };
}

describe("a certificate that cannot be used", () => {
  const dayMs = 86_400_000;
  const at = (days: number) => new Date(Date.now() + days * dayMs);
  const faultsOf = (flags: Record<string, unknown>, serves = true) =>
    checkConfiguration({
      flags: { "storage.home": folder, ...flags },
      environment: {},
      workingDirectory: folder,
      serves,
    }).filter(({ key }) => key.startsWith("server."));

  async function withFiles(made: { certificate: string; key: string }) {
    const place = await mkdtemp(join(folder, "pair-"));
    const written = await writeCertificate(place, made);
    return { "server.tlsCertificate": written.certificate, "server.tlsKey": written.key };
  }

  test("is none of these: a good one has no fault, and no warning about a public bind", async () => {
    const good = await withFiles(makeCertificate());
    expect(faultsOf({ ...good, "server.host": "0.0.0.0" })).toEqual([]);
    expect(faultsOf({ "server.host": "0.0.0.0" })).toMatchObject([
      { code: "bind_public", severity: "warning" },
    ]);
  });

  test.each([
    ["expired", { validFrom: at(-30), validTo: at(-1) }, "tls_expired", /expired on 20/],
    ["from the future", { validFrom: at(1) }, "tls_expired", /is not valid before 20/],
  ])("%s refuses the start", async (_what, about, code, message) => {
    const faults = faultsOf(await withFiles(makeCertificate(about)));
    expect(faults).toMatchObject([{ key: "server.tlsCertificate", code, severity: "fault" }]);
    expect(faults[0]?.message).toMatch(message);
  });

  test("close to its end is a warning", async () => {
    const soon = await withFiles(makeCertificate({ validTo: at(3) }));
    expect(faultsOf(soon)).toMatchObject([{ code: "tls_expiring", severity: "warning" }]);
    expect(
      loadCertificate({
        tlsCertificate: soon["server.tlsCertificate"],
        tlsKey: soon["server.tlsKey"],
      }),
    ).not.toBeNull();
  });

  test("refuses the start without its other half, with another key, or with content of another kind", async () => {
    const one = makeCertificate();
    const good = await withFiles(one);
    const { "server.tlsCertificate": tlsCertificate, "server.tlsKey": tlsKey } = good;
    const codes = (flags: Record<string, unknown>) => faultsOf(flags).map(({ code }) => code);
    expect(codes({ "server.tlsCertificate": tlsCertificate })).toEqual(["tls_incomplete"]);
    expect(codes({ "server.tlsKey": tlsKey })).toEqual(["tls_incomplete"]);
    expect(codes(await withFiles({ ...one, key: makeCertificate().key }))).toEqual([
      "tls_mismatch",
    ]);
    expect(codes(await withFiles({ certificate: "no PEM", key: one.key }))).toEqual([
      "tls_invalid",
    ]);
    expect(codes(await withFiles({ ...one, key: "no PEM" }))).toEqual(["tls_invalid"]);
    expect(codes({ ...good, "server.tlsKey": join(folder, "gone.key") })).toEqual([
      "tls_unreadable",
    ]);
    expect(codes({ ...good, "server.tlsCertificate": folder })).toEqual(["tls_unreadable"]);
    expect(() => loadCertificate({ tlsCertificate, tlsKey: undefined })).toThrow(
      ConfigurationInvalidError,
    );
  });

  test.skipIf(process.platform === "win32")(
    "a key that everybody can read is a warning",
    async () => {
      const place = await mkdtemp(join(folder, "pair-"));
      const { certificate: text, key } = makeCertificate();
      const paths = { certificate: join(place, "c"), key: join(place, "k") };
      await writeFile(paths.certificate, text);
      await writeFile(paths.key, key, { mode: 0o644 });
      expect(
        faultsOf({ "server.tlsCertificate": paths.certificate, "server.tlsKey": paths.key }),
      ).toMatchObject([{ code: "tls_key_readable", severity: "warning" }]);
    },
  );

  test("leaves commands alone: they warn, and can still talk to the server", async () => {
    const expired = await withFiles(makeCertificate({ validFrom: at(-30), validTo: at(-1) }));
    expect(faultsOf(expired, false)).toMatchObject([{ code: "tls_expired", severity: "warning" }]);
  });

  test("and everything else that is wrong is said at once, with exit code 2", async () => {
    const place = await openWorkplace();
    const expired = await withFiles(makeCertificate({ validFrom: at(-30), validTo: at(-1) }));
    const { code, stderr } = await place.candor(["serve", "--port", "0"], {
      CANDOR_SERVER_TLS_CERTIFICATE: expired["server.tlsCertificate"],
      CANDOR_SERVER_TLS_KEY: join(folder, "gone.key"),
      CANDOR_SERVER_MAX_CONNECTIONS: "0",
      CORS_ORIGINS: "*",
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/4 faults/);
    for (const part of [
      /expired on/,
      /cannot be read: ENOENT/,
      /maxConnections/,
      /wildcard origin/,
    ])
      expect(stderr).toMatch(part);
  });
});

describe("a renewed certificate", () => {
  test("is shown to new connections; a faulty one is said and changes nothing", async () => {
    const place = await mkdtemp(join(folder, "renew-"));
    const paths = await writeCertificate(place);
    const first = load(paths);
    const renewed: { fingerprint: string; before: string }[] = [];
    const faults: unknown[] = [];
    const stop = watchCertificate(
      { tlsCertificate: paths.certificate, tlsKey: paths.key },
      first,
      {
        onRenewed: async ({ fingerprint }, before) => void renewed.push({ fingerprint, before }),
        onFault: (thrown) => faults.push(thrown),
      },
      20,
    );
    await writeFile(paths.certificate, makeCertificate().certificate);
    await expect.poll(() => faults.length, { timeout: 5000 }).toBeGreaterThan(0);
    expect(faults[0]).toBeInstanceOf(ConfigurationInvalidError);
    expect(renewed).toEqual([]);
    await writeCertificate(place);
    await expect.poll(() => renewed.length, { timeout: 5000 }).toBe(1);
    stop();
    const second = load(paths);
    expect(renewed).toEqual([{ fingerprint: second.fingerprint, before: first.fingerprint }]);

    const shown = async () => {
      const socket = connectTls({ host: "127.0.0.1", port: door.port, rejectUnauthorized: false });
      await once(socket, "secureConnect");
      const print = socket.getPeerX509Certificate()?.fingerprint256;
      socket.destroy();
      return print;
    };
    expect(await shown()).toBe(certificate.fingerprint);
    door.renew(second);
    expect(await shown()).toBe(second.fingerprint);
    door.renew(certificate);
  });
});

test("candor serve over TLS prints its https address by a name of the certificate, and the command line reaches it", async () => {
  const place = await openWorkplace();
  const server = await place.serve({
    CANDOR_SERVER_TLS_CERTIFICATE: files.certificate,
    CANDOR_SERVER_TLS_KEY: files.key,
    CANDOR_SERVER_HOST: "::",
    TRUSTED_HOSTS: "candor.example.org",
  });
  const said = JSON.parse(server.written().stdout) as { url: string; signInUrl: string };
  expect(said.url).toMatch(/^https:\/\/candor\.example\.org:\d+$/);
  expect(said.signInUrl.startsWith(`${said.url}/#token=`)).toBe(true);
  const file = JSON.parse(await readFile(join(place.home, "run", "server.json"), "utf8"));
  expect(file).toMatchObject({ pins: [certificate.fingerprint] });
  expect(file.url).toMatch(/^https:\/\/\[::1\]:\d+$/);
  const { code, stdout, stderr } = await place.candor([
    "collections",
    "create",
    "kitchen",
    "--json",
  ]);
  expect(stderr).not.toContain("server.host");
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ name: "kitchen" });
  expect((await server.stop()).code).toBe(0);
}, 30_000);
