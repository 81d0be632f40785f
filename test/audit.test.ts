import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readAudit } from "../scripts/audit-packages.ts";

/** A package registry that answers questions about vulnerabilities with `answer`, over a socket. */
let answer: (asked: Record<string, string[]>) => { status: number; body: object };
let registry: Server | undefined;
/** npm keeps what it heard of an advisory; each test asks anew. */
let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "candor-audit-"));
});
afterEach(() => {
  registry?.close();
  rmSync(cache, { recursive: true, force: true });
});

async function openRegistry(): Promise<string> {
  registry = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const send = (status: number, body: object) =>
        response
          .writeHead(status, { "content-type": "application/json" })
          .end(JSON.stringify(body));
      if (request.method !== "POST")
        return send(200, {
          name: "fastify",
          versions: { "5.12.8": { name: "fastify", version: "5.12.8" } },
        });
      const sent = Buffer.concat(chunks);
      const isPacked = request.headers["content-encoding"] === "gzip";
      const asked = JSON.parse((isPacked ? gunzipSync(sent) : sent).toString()) as Record<
        string,
        string[]
      >;
      const { status, body } = answer(asked);
      return send(status, body);
    });
  }).listen(0, "127.0.0.1");
  await once(registry, "listening");
  return `http://127.0.0.1:${(registry.address() as AddressInfo).port}/`;
}

async function audit(address: string): Promise<{ code: number | null; out: string }> {
  const script = join(import.meta.dirname, "..", "scripts", "audit-packages.ts");
  const child = spawn(process.execPath, [script], {
    env: {
      ...process.env,
      npm_config_registry: address,
      npm_config_cache: cache,
      npm_config_fetch_retries: "0",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const out = text(child.stdout);
  const [code] = (await once(child, "exit")) as [number | null];
  return { code, out: await out };
}

const advisory = (severity: string) => ({
  id: 1,
  url: "https://github.com/advisories/GHSA-xxxx",
  title: "A hole",
  severity,
  vulnerable_versions: "<99.0.0",
  cwe: [],
  cvss: { score: 9, vectorString: null },
});

describe("npm run audit", () => {
  test("asks for every locked package and passes when nothing is known of them", async () => {
    const names: string[] = [];
    answer = (asked) => {
      names.push(...Object.keys(asked));
      return { status: 200, body: {} };
    };
    const { code, out } = await audit(await openRegistry());
    expect(out).toMatch(/^npm audit: \d+ packages asked for, 0 with known vulnerabilities/);
    expect(code).toBe(0);
    expect(names).toEqual(expect.arrayContaining(["fastify", "vitest", "zod"]));
  });

  test.each([
    ["critical", 1],
    ["high", 1],
    ["moderate", 0],
  ])("a %s one ends with %i and is named", async (severity, wanted) => {
    answer = () => ({ status: 200, body: { fastify: [advisory(severity)] } });
    const { code, out } = await audit(await openRegistry());
    expect(out).toContain(
      `${severity}: fastify *\n  A hole https://github.com/advisories/GHSA-xxxx`,
    );
    expect(code).toBe(wanted);
  });

  test("a registry that does not answer such questions is said, without its address, and fails nothing", async () => {
    answer = () => ({ status: 405, body: {} });
    const address = await openRegistry();
    const { code, out } = await audit(address);
    expect(out).toMatch(/^npm audit: skipped: the package registry gave no answer \(.*405/);
    expect(out).not.toContain(new URL(address).host);
    expect(code).toBe(0);
  });

  test("so is one that cannot be reached", async () => {
    const { code, out } = await audit("http://127.0.0.1:1/");
    expect(out).toMatch(/^npm audit: skipped: the package registry gave no answer/);
    expect(code).toBe(0);
  });
});

test.each(["", "<html>", "null", "[]", "{}", '{"vulnerabilities":{}}'])(
  "%j is no answer",
  (printed) => {
    expect(readAudit(printed).state).toBe("skipped");
  },
);
