import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates, TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createOutgoing } from "#base/network/index.ts";
import { code, openCanary, read, type Canary } from "./local-servers.ts";

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
const missing = hasOpenssl ? "" : " (skipped: `apt-get install openssl` provides it)";

describe.skipIf(!hasOpenssl)(`a certificate${missing}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "candor-certificate-"));
  const trusted = getCACertificates("default");
  const names: (string | false | null)[] = [];
  let certificate = "";
  let port = 0;
  let plain: Canary;
  let close = () => {};

  beforeAll(async () => {
    const [key, file] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
    const san = "subjectAltName=DNS:good.test,IP:127.0.0.2";
    const command = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=good.test -addext ${san} -keyout ${key} -out ${file}`;
    execFileSync("openssl", command.split(" "), { stdio: "pipe" });
    certificate = readFileSync(file, "utf8");
    plain = await openCanary();
    const server = createServer(
      { key: readFileSync(key), cert: certificate },
      (request, response) => {
        names.push(request.socket instanceof TLSSocket ? request.socket.servername : null);
        if (request.url === "/down")
          response.writeHead(302, { location: `http://good.test:${plain.port}/` });
        if (request.url === "/on") response.writeHead(302, { location: "/" });
        response.end("encrypted");
      },
    );
    server.on("tlsClientError", () => {});
    await new Promise<void>((resolve) => server.listen(0, resolve));
    port = (server.address() as AddressInfo).port;
    close = () => server.closeAllConnections() ?? server.close();
  });
  afterAll(async () => {
    close();
    await plain.close();
    rmSync(folder, { recursive: true, force: true });
  });
  afterEach(() => {
    setDefaultCACertificates(trusted);
    delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
    names.length = 0;
  });

  const trust = () => setDefaultCACertificates([...trusted, certificate]);
  /** A client whose operator allows what it asks for: the address is fine, so only the certificate decides. */
  const open = (host: string, path = "/") => {
    const url = `https://${host}:${port}${path}`;
    const allow = [new URL(url).origin, `http://good.test:${plain.port}`];
    return createOutgoing({ allow, resolve: async () => ["127.0.0.1"] }).request({ url });
  };
  const refused = (reason: string) =>
    code("destination_refused", new RegExp(`certificate of https://.* is not valid.*${reason}`));

  test("that nobody vouches for is refused, also when the environment would let it pass", async () => {
    await expect(open("good.test")).rejects.toMatchObject(refused("SELF_SIGNED"));
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    await expect(open("good.test")).rejects.toMatchObject(refused("SELF_SIGNED"));
    expect(names).toEqual([]);
  });

  test("is judged by the name that was asked for, though the connection goes to an address", async () => {
    trust();
    for (const host of ["good.test", "good.test."])
      expect(await read(await open(host))).toBe("encrypted");
    expect(names).toEqual(["good.test", "good.test"]);
    await expect(open("other.test")).rejects.toMatchObject(refused("ALTNAME"));
    await expect(open("127.0.0.1")).rejects.toMatchObject(refused("ALTNAME"));
    expect(await read(await open("127.0.0.2"))).toBe("encrypted");
    expect(names).toEqual(["good.test", "good.test", false]);
  });

  test("is not given up on the way: a redirect to plain http is refused, one within https is followed", async () => {
    trust();
    await expect(open("good.test", "/down")).rejects.toMatchObject(
      code("destination_refused", /does not go on in the clear/),
    );
    expect(plain.hits).toEqual([]);
    expect(await read(await open("good.test", "/on"))).toBe("encrypted");
  });
});
