import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";

/** What the linter says about planted files: the rules are only worth what they find. */
const repository = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "candor-lint-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Each opens a connection, or gets hold of what opens one. */
const waysOut = [
  'import { request } from "node:http"; export const a = request;',
  'import http from "http"; export const a = http;',
  'export { get } from "node:https";',
  'import * as http2 from "node:http2"; export const a = http2;',
  'import { connect } from "node:net"; export const a = connect;',
  'import net from "net"; export const a = net;',
  'import { connect } from "node:tls"; export const a = connect;',
  'import * as tls from "node:tls"; export const a = tls;',
  'import tls from "tls"; export const a = tls;',
  'import { createSocket } from "node:dgram"; export const a = createSocket;',
  'import { lookup } from "node:dns"; export const a = lookup;',
  'import { lookup } from "node:dns/promises"; export const a = lookup;',
  'import { fetch } from "undici"; export const a = fetch;',
  'import WebSocket from "ws"; export const a = WebSocket;',
  'export const a = import("node:http");',
  'export const a = fetch("https://example.org");',
  'export const a = globalThis.fetch("https://example.org");',
  'export const a = new WebSocket("wss://example.org");',
  'export const a = new EventSource("https://example.org");',
  'export const a = process.getBuiltinModule("node:net");',
];

/** Rooms with rules of their own must not lose this one. */
const rooms = [
  "src/base/config",
  "src/base/database",
  "src/base/workers",
  "src/engine/runtimes",
  "src/doors/cli",
];

function lint(files: Readonly<Record<string, string>>): string[] {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), `${text}\n`);
  }
  copyFileSync(join(repository, ".oxlintrc.json"), join(folder, ".oxlintrc.json"));
  let report;
  try {
    report = execFileSync(
      process.execPath,
      [join(repository, "node_modules", "oxlint", "bin", "oxlint"), "-f", "unix", "src"],
      { cwd: folder, encoding: "utf8", stdio: "pipe" },
    );
  } catch (thrown) {
    report = (thrown as { stdout: string }).stdout;
  }
  rmSync(join(folder, "src"), { recursive: true });
  const lines = report
    .split("\n")
    .filter((line) => line.includes("only in base/network") || line.includes("no-restricted"));
  return [...new Set(lines.map((line) => line.replace(/:.*/, "")))].toSorted();
}

test("the linter finds every way out, in every room", () => {
  const files = Object.fromEntries(
    rooms.flatMap((room) => waysOut.map((text, index) => [`${room}/a${index}.ts`, text])),
  );
  expect(lint(files)).toEqual(Object.keys(files).toSorted());
});

test("base/network may open connections; types and certificates open none", () => {
  const network = waysOut.filter((text) => text.includes('"node:') && !text.includes("getBuiltin"));
  expect(
    lint({
      ...Object.fromEntries(network.map((text, index) => [`src/base/network/a${index}.ts`, text])),
      "src/doors/http/a.ts": 'import type { Server } from "node:tls"; export type A = Server;',
      "src/doors/http/b.ts": 'import type { Agent } from "node:http"; export type A = Agent;',
      "src/base/config/c.ts":
        'import { createSecureContext } from "node:tls"; export const a = createSecureContext;',
    }),
  ).toEqual([]);
});
