import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeFiles } from "../cli/run-candor.ts";
import {
  closeWorkplaces,
  countContent,
  endOf,
  entryOf,
  failedItems,
  inspect,
  type JobAnswer,
  openWorkplace,
  type Server,
  startSync,
  sync,
  type Workplace,
} from "./start-server.ts";

const model = fileURLToPath(new URL("../fixtures/static-16", import.meta.url));
const png = Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), Buffer.alloc(100, 7)]);
const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from("Water here", "utf16le")]);

let workplace: Workplace;
let server: Server;

beforeAll(async () => {
  workplace = await openWorkplace();
  server = await workplace.serve({ CANDOR_MODELS_STATIC: model });
});
afterAll(closeWorkplaces);

/** Files that fail, each with its code; files that are no documents, each with its reason; and files that are read. */
const failing: Record<string, [content: string | Uint8Array, code: string]> = {
  "cut-letter.md": [Buffer.from("Straße").subarray(0, 5), "encoding_invalid"],
  "latin.txt": [Buffer.from("Straße und Wasser", "latin1"), "encoding_invalid"],
  "surrogate.md": [Buffer.from([0x41, 0xed, 0xa0, 0x80]), "encoding_invalid"],
  "utf16-cut.txt": [utf16.subarray(0, utf16.length - 1), "encoding_invalid"],
  "cut.csv": ['a,b\n1,"x', "format_invalid"],
  "cut.json": ['{"water": [1, 2', "format_invalid"],
  "cut.jsonl": ['{"a":1}\n{"b":', "format_invalid"],
  "nul.md": [Buffer.from([0, 1, 2, 0]), "format_invalid"],
  "photo.md": [png, "format_invalid"],
  "report.txt": ["%PDF-1.7\n1 0 obj", "format_invalid"],
  "zipped.json": [gzipSync("{}"), "format_invalid"],
  "too-many-chunks.txt": ["water ".repeat(1_000_000), "input_invalid"],
  "pad.txt": ["[PAD]", "inference_failed"],
};
const skipped: Record<string, [content: string | Uint8Array, reason: string]> = {
  "empty.md": ["", "empty"],
  "blank.md": [" \n\t\n", "empty"],
  "invisible.md": ["\u200b\u200b", "empty"],
  "real.pdf": ["%PDF-1.4", "binary"],
  "real.png": [png, "binary"],
  "line\nbreak.md": ["Water", "name has control characters"],
  "large.txt": ["water and fire\n".repeat(700_000), "larger than 10 MB"],
};
const read: Record<string, string | Uint8Array> = {
  "utf16.txt": utf16,
  "mark.md": "\ufeff# Water",
  "cut.html": "<html><p>Water<div><b>fire",
  "cut.ts": "export function water( {{{",
  "one-line.js": "var a = 1;".repeat(20_000),
  "nested.json": "[".repeat(50_000) + "]".repeat(50_000),
  "no-blank.txt": "a".repeat(500_000),
  "..dots.md": "Water and dots.",
  "%2e%2e.md": "Water and percent signs.",
  "back\\slash.md": "Water and a backslash.",
  "-rf.md": "Water and a dash.",
  "quote ' \" and & blank.md": "Water and quotes.",
  [`${"n".repeat(251)}.md`]: "Water and a long name.",
};

describe("a folder of bad files", () => {
  let job: JobAnswer;
  let folder: string;

  beforeAll(async () => {
    folder = join(workplace.folder, "bad");
    for (const files of [failing, skipped])
      await writeFiles(
        folder,
        Object.fromEntries(Object.entries(files).map(([name, [content]]) => [name, content])),
      );
    await writeFiles(folder, read);
    for (const [name, target] of [
      ["loop-a", "loop-b"],
      ["loop-b", "loop-a"],
      ["outside.md", "/etc/hostname"],
      ["gone.md", "nowhere.md"],
    ] as const)
      symlinkSync(target, join(folder, name));
    mkdirSync(join(folder, "sub"));
    symlinkSync("..", join(folder, "sub", "up"));
    const deep = join(folder, ...["p", "q", "r"].map((letter) => letter.repeat(200)));
    mkdirSync(deep, { recursive: true });
    writeFileSync(join(deep, "deep.md"), "Water, deep.");
    execFileSync("mkfifo", [join(folder, "pipe.md")]);
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/bad-`), Buffer.from([0xff])]), "Water");
    await server.ask("POST", "/collections", { name: "bad" });
    job = await sync(server, "bad", folder);
  }, 60_000);

  test("ends with every file in one of three counts", async () => {
    expect(job).toMatchObject({
      state: "partial",
      done: Object.keys(read).length,
      failed: Object.keys(failing).length,
      skipped: Object.keys(skipped).length + 8,
    });
  });

  test("names each failure with its code, in the ledger too", async () => {
    const failed = await failedItems(server, job.id);
    const expected = Object.entries(failing).map(([name, [, code]]) => [name, code]);
    expect(failed.map(({ item, code }) => [item, code])).toEqual(expected.toSorted(byName));
    for (const { item, ledgerId } of failed)
      expect(await entryOf(server, ledgerId)).toMatchObject({ item, jobId: job.id });
  });

  test("names why each other file is not there; links are not followed", () => {
    const list = job.result["skipped"] as { key: string; reason: string }[];
    const reasons = Object.fromEntries(list.map(({ key, reason }) => [key, reason]));
    const shown = (name: string) => name.replace("\n", "\\u000a");
    for (const [name, [, reason]] of Object.entries(skipped))
      expect([name, reasons[shown(name)]]).toEqual([name, reason]);
    expect(reasons).toMatchObject({
      "loop-a": "broken link",
      "loop-b": "broken link",
      "outside.md": "link out of the folder",
      "gone.md": "broken link",
      "pipe.md": "not a regular file",
      "bad-\ufffd": "name is not UTF-8",
    });
    expect(reasons["sub/up"]).toMatch(/link/);
    expect(list.map(({ reason }) => reason)).toContain("path longer than 512 characters");
  });

  test("stores the rest whole, found again and unchanged the next time", async () => {
    const { body } = await server.ask("GET", "/collections/bad/documents?limit=100");
    const documents = body["items"] as { key: string; sha256: string }[];
    const expected = Object.entries(read).map(([name, content]) => [name, sha256(content)]);
    expect(documents.map((one) => [one.key, one.sha256])).toEqual(expected.toSorted(byName));
    for (const name of Object.keys(read)) {
      const path = `/collections/bad/documents/${encodeURIComponent(name)}`;
      expect(await server.ask("GET", path)).toMatchObject({ status: 200, body: { key: name } });
    }
    const again = await sync(server, "bad", folder);
    expect(again.result).toMatchObject({ added: 0, replaced: 0, unchanged: expected.length });
  });
});

/** By the bytes of the names, as the product lists them. */
const byName = ([one]: (string | undefined)[], [other]: (string | undefined)[]) =>
  Buffer.compare(Buffer.from(one ?? ""), Buffer.from(other ?? ""));

const sha256 = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex");

describe("documents one by one", () => {
  beforeAll(() => server.ask("POST", "/collections", { name: "single" }));
  afterAll(async () => {
    const { body } = await server.ask("GET", "/collections/single");
    expect(body["counts"]).toMatchObject({ chunks: 0, vectors: 0 });
  });

  test.each<[what: string, name: string, type: string, content: string | Buffer, answer: string]>([
    ["an image called text", "a.md", "text/markdown", png, "422 format_invalid"],
    ["an image", "a.png", "image/png", png, "415 format_unsupported"],
    ["text called PDF", "a.pdf", "application/pdf", "Water", "415 format_unsupported"],
    ["broken JSON", "a.json", "application/json", "{", "422 format_invalid"],
    ["broken UTF-8", "a.txt", "text/plain", Buffer.from([0x41, 0xff]), "422 encoding_invalid"],
    ["a charset nobody knows", "a.txt", "text/plain; charset=x-no", "A", "422 encoding_invalid"],
    ["nothing", "a.md", "text/markdown", "", "422 document_empty"],
    ["blanks", "a.md", "text/markdown", " \n ", "422 document_empty"],
    ["11 MB", "a.txt", "text/plain", "water ".repeat(1_900_000), "413 document_too_large"],
  ])("%s is refused", async (_what, name, type, content, refusal) => {
    const form = new FormData();
    const bytes = typeof content === "string" ? content : new Uint8Array(content);
    form.set("file", new Blob([bytes], { type }), name);
    form.set("mediaType", type);
    const path = "/collections/single/documents";
    const { status, body } = await server.ask("POST", path, undefined, { form });
    expect(`${status} ${String(body["code"])}`).toBe(refusal);
  });

  test.each([
    ["a NUL", { key: "a\u0000b" }, "/key"],
    ["a line end", { key: "a\nb" }, "/key"],
    ["513 characters", { key: "k".repeat(513) }, "/key"],
    ["a field that does not exist", { contents: "Water" }, "/contents"],
    ["a field of another type", { metadata: [] }, "/metadata"],
    ["metadata of 17 KiB", { metadata: { a: "x".repeat(17 * 1024) } }, "/metadata"],
  ])("%s is refused by its place", async (_what, fields, pointer) => {
    const body = { content: "Water", ...fields };
    const answer = await server.ask("POST", "/collections/single/documents", body);
    expect(answer).toMatchObject({ status: 422, body: { code: "input_invalid" } });
    expect(answer.body["errors"]).toContainEqual(expect.objectContaining({ pointer }));
  });

  test.each(["../../etc/passwd", "..", "/absolute", "a//b", "x".repeat(300)])(
    "the key %j is only a name",
    async (key) => {
      const body = { key, content: "Water." };
      const added = await server.ask("POST", "/collections/single/documents", body);
      expect(added).toMatchObject({ status: 201, body: { document: { key } } });
      const id = (added.body["document"] as { id: string }).id;
      const path = `/collections/single/documents/${id}`;
      expect(await server.ask("DELETE", path)).toMatchObject({ status: 200 });
    },
  );
});

test("a folder that changes while it is read ends as it is when it rests", async () => {
  const folder = join(workplace.folder, "changing");
  const content = (number: number, version: number) =>
    `Water ${number} in version ${version}.\n\n`.repeat(1 + (version % 3));
  const initial = Array.from({ length: 150 }, (_, number) => [`${number}.md`, content(number, 0)]);
  await writeFiles(folder, Object.fromEntries(initial) as Record<string, string>);
  await server.ask("POST", "/collections", { name: "changing" });
  const job = await startSync(server, "changing", folder);
  let running = true;
  const ended = endOf(server, job).finally(() => (running = false));
  for (let version = 1; running; version += 1)
    for (let number = version % 5; number < 160; number += 5) {
      const path = join(folder, `${number}.md`);
      if ((number + version) % 7 === 0) rmSync(path, { force: true });
      else writeFileSync(path, content(number, version));
      if (number % 25 < 5) await nextTurn();
    }
  const first = await ended;
  expect(["succeeded", "partial"]).toContain(first.state);
  for (const { code } of await failedItems(server, job)) expect(code).toBe("file_changed");

  expect(await sync(server, "changing", folder)).toMatchObject({ state: "succeeded", failed: 0 });
  const there = readdirSync(folder).map((name) => [name, sha256(readFileSync(join(folder, name)))]);
  const database = inspect(workplace.home);
  const stored = database.all(
    "select key, sha256 from documents where root is not null and collection_id = (select id from collections where name = 'changing') order by key",
  );
  database.close();
  expect(stored.map((row) => [row["key"], row["sha256"]])).toEqual(there.toSorted(byName));
});

test("a folder that is gone is an error, and what was indexed of it stays", async () => {
  const folder = join(workplace.folder, "going");
  await writeFiles(folder, { "a.md": "Water.", "b.md": "Fire." });
  await server.ask("POST", "/collections", { name: "going" });
  await sync(server, "going", folder);
  rmSync(folder, { recursive: true });
  const answer = await server.ask("POST", "/collections/going/sync", { path: folder });
  expect(answer).toMatchObject({ status: 404, body: { code: "file_missing" } });
  const { body } = await server.ask("GET", "/collections/going");
  expect(body["counts"]).toMatchObject({ documents: 2, vectors: 2 });
});

describe("a document over the limits of one worker", () => {
  let text = "";
  for (let line = 0; text.length < 9_500_000; line += 1)
    text += `The ${((line * 7919) % 99_991).toString(36)} water ${line} and fire.\n\n`;

  test.each([
    ["memory", { CANDOR_PERFORMANCE_WORKER_MEGABYTES: "64" }, 503, "out_of_memory"],
    ["time", { CANDOR_PERFORMANCE_WORKER_TIMEOUT_SECONDS: "1" }, 504, "worker_timeout"],
  ])("of %s fails alone; the next one is read", async (_what, environment, status, code) => {
    const place = await openWorkplace();
    const limited = await place.serve(environment);
    await limited.ask("POST", "/collections", { name: "notes" });
    const add = (name: string, content: string) => {
      const form = new FormData();
      form.set("file", new Blob([content]), name);
      return limited.ask("POST", "/collections/notes/documents", undefined, { form });
    };
    const answer = await add("large.md", text);
    expect(answer).toMatchObject({ status, body: { code } });
    expect(await entryOf(limited, answer.body["instance"])).toMatchObject({ code });
    expect(countContent(place.home)).toMatchObject({ documents: 0, chunks: 0, vectors: 0 });
    expect(await add("small.md", "Water.")).toMatchObject({ status: 201 });
    await limited.kill();
  });
});
