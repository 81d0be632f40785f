import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { writeFiles } from "../cli/run-candor.ts";
import {
  closeWorkplaces,
  openWorkplace,
  type Server,
  sync,
  type Workplace,
} from "../faults/start-server.ts";

afterAll(closeWorkplaces);

/** Words that nobody but this test says: where they begin a line or name a field, something was forged. */
const mark = "forgedbyatest";

/** Text that tries to end the line or its field and to begin another, in ways that terminals, editors and parsers know. */
const attacks = [
  `x\n{"level":"fatal","message":"${mark}","requestId":"${mark}"}`,
  `x\r\n2026-11-21T00:00:00.000Z FATAL ${mark} requestId="${mark}"`,
  `x","level":"fatal","${mark}":"yes`,
  `x\\n{"${mark}":1}`,
  `x requestId="${mark}" ${mark}=1`,
  `x" ${mark}=1 y="`,
  `x\\" ${mark}=1`,
  `\u001b[2K\u001b[1A\u001b]0;${mark}\u0007`,
  `\u009b2K\u0085${mark}`,
  `\u2028${mark}\u2029${mark}`,
  `\u202e${mark}\u2066\u200f\ufeff\u00ad\u{e0041}`,
  `x\u0000${mark}\u0008\u0008\u007f`,
  `\u000b\u000c\u001c\u001d\u001e${mark}`,
];

/** Everything that may stand in a line of a log: no controls, no format characters, no separators of lines. */
const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** Sends raw bytes and waits for the end of the connection. */
function sendRaw(server: Server, head: Buffer): Promise<string> {
  const { port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(port), "127.0.0.1", () => socket.write(head));
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", reject).on("close", () => resolve(Buffer.concat(chunks).toString("latin1")));
  });
}

/** A request whose header values and path hold these bytes as they are. */
function rawRequest(server: Server, path: Buffer, headers: readonly [string, Buffer][]): Buffer {
  const line = (text: string) => Buffer.from(text, "latin1");
  return Buffer.concat([
    line("GET "),
    path,
    line(` HTTP/1.1\r\nhost: ${new URL(server.url).host}\r\nconnection: close\r\n`),
    ...headers.flatMap(([name, value]) => [line(`${name}: `), value, line("\r\n")]),
    line("\r\n"),
  ]);
}

async function attack(server: Server, workplace: Workplace): Promise<void> {
  const names = [
    "user-agent",
    "x-request-id",
    "referer",
    "traceparent",
    "tracestate",
    "authorization",
    "cookie",
    "host",
    "origin",
    "x-forwarded-for",
    "idempotency-key",
    "content-type",
  ];
  for (const text of attacks) {
    const part = encodeURIComponent(text);
    await server.ask("GET", `/collections/${part}?${part}=${part}`);
    await server.ask("POST", "/collections", { name: text, [text]: text });
    await server.ask("POST", "/search", { query: text, collections: [text] });
    await server.ask("POST", "/collections/notes/sync", { path: `/nowhere/${text}` });
    await server.ask("GET", `/ledger/${part}`);
    const documents = [
      { key: text, title: text, content: `{"a": ${text}`, mediaType: "application/json" },
    ];
    await server.ask("POST", "/collections/notes/documents/batch?wait=true", { documents });
    for (const bytes of [Buffer.from(text, "utf8"), Buffer.from(text, "latin1")]) {
      for (const name of names)
        await sendRaw(
          server,
          rawRequest(server, Buffer.from("/api/v1/collections"), [[name, bytes]]),
        );
      await sendRaw(
        server,
        rawRequest(server, Buffer.concat([Buffer.from("/api/v1/"), bytes]), []),
      );
      await sendRaw(server, Buffer.concat([bytes, Buffer.from("\r\n\r\n")]));
    }
  }
  const folder = join(workplace.folder, "files");
  // A name of a file takes everything but a slash and a zero.
  const names2 = attacks.filter((text) => !/[/\0]/.test(text));
  await writeFiles(folder, Object.fromEntries(names2.map((text, n) => [`${n}${text}.json`, "{"])));
  expect((await sync(server, "notes", folder)).failed).toBeGreaterThan(0);
}

async function provoke(format: "json" | "text") {
  const workplace = await openWorkplace();
  const server = await workplace.serve({
    CANDOR_MODELS_STATIC: join(import.meta.dirname, "../fixtures/static-16"),
    CANDOR_LOGGING_FORMAT: format,
    LOG_LEVEL: "trace",
  });
  await server.ask("POST", "/collections", { name: "notes" });
  await attack(server, workplace);
  const { stderr } = await server.stop();
  const file = readFileSync(join(workplace.home, "logs", "candor.log"), "utf8");
  const lines = file.split("\n").slice(0, -1);
  expect(lines.length).toBeGreaterThan(attacks.length * 20);
  // The console has the same lines; what else it says stands in lines of its own.
  expect(stderr.split("\n").filter((line) => lines.includes(line))).toHaveLength(lines.length);
  return lines;
}

describe("no text of a caller begins a line or makes a field", () => {
  test("in JSON", { timeout: 60_000 }, async () => {
    const known =
      /^(?:level|time|message|requestId|jobId|principal|trace_id|span_id|ledgerId|code|item|operation|method|route|status|ms|address|error|part|run)$/;
    for (const line of await provoke("json")) {
      expect(line).not.toMatch(hidden);
      const fields = JSON.parse(line) as Record<string, unknown>;
      // A name that stands twice would hide one of its values.
      expect(JSON.stringify(fields)).toBe(unescaped(line));
      expect(Object.keys(fields).filter((name) => !known.test(name))).toEqual([]);
      expect(fields["level"]).toMatch(/^(?:trace|debug|info|warn|error|fatal)$/);
      expect(String(fields["requestId"])).not.toContain(mark);
      expect(String(fields["principal"])).not.toContain(mark);
      expect(Date.parse(String(fields["time"]))).toBeGreaterThan(Date.now() - 600_000);
    }
  });

  test("in text", { timeout: 60_000 }, async () => {
    for (const line of await provoke("text")) {
      expect(line).not.toMatch(hidden);
      const { time, names } = parseTextLine(line);
      expect(Date.parse(time)).toBeGreaterThan(Date.now() - 600_000);
      expect(names.filter((name) => name.includes(mark))).toEqual([]);
      expect(names.filter((name, place) => names.indexOf(name) !== place)).toEqual([]);
    }
  });
});

/** The line as JSON.stringify would write it: characters that only our log escapes stand as they are. */
function unescaped(line: string): string {
  return line.replaceAll(/\\(?:u([0-9a-f]{4})|.)/g, (written, digits: string | undefined) => {
    const unit = digits === undefined ? 0 : Number.parseInt(digits, 16);
    return unit < 0x20 ? written : String.fromCharCode(unit);
  });
}

/** Reads a text line strictly: a message without `=` or in quotes, then fields, and nothing left over. */
function parseTextLine(line: string): { time: string; names: string[] } {
  const quoted = String.raw`"(?:[^"\\]|\\.)*"`;
  const [, time = "", message = "", rest = ""] =
    new RegExp(
      `^(\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z) (?:TRACE|DEBUG|INFO |WARN |ERROR|FATAL) (${quoted}(?= [\\w.-]+=|$)|[^"=][^=]*?|)((?: (?:[\\w.-]+|${quoted})=.*)?)$`,
    ).exec(line) ?? [];
  expect(time, line).not.toBe("");
  expect(message.startsWith('"') || !message.includes("="), line).toBe(true);
  const names: string[] = [];
  let left = rest;
  while (left !== "") {
    const found = new RegExp(
      `^ ([\\w.-]+|${quoted})=(${quoted}|-?[\\d.e+-]+|true|false|null|[[{].*[\\]}])(?= (?:[\\w.-]+|${quoted})=|$)`,
    ).exec(left);
    expect(found, line).not.toBe(null);
    names.push(found?.[1] ?? "");
    left = left.slice(found?.[0].length ?? left.length);
  }
  return { time, names };
}
