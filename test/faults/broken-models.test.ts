import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { writeFiles } from "../cli/run-candor.ts";
import {
  editJson,
  type ModelFiles,
  setScale,
  writeStaticModel,
} from "../fixtures/change-static-model.ts";
import {
  closeWorkplaces,
  countContent,
  entryOf,
  failedItems,
  openWorkplace,
  type Server,
  sync,
  type Workplace,
} from "./start-server.ts";

/** Each fault is planted with checksums that fit (`change`) or in the files as they lie there (`damage`). */
const faults: readonly {
  what: string;
  code: string;
  change?: (files: ModelFiles) => void;
  damage?: (folder: string) => void;
}[] = [
  {
    what: "table missing",
    code: "model_file_missing",
    damage: (folder) => rmSync(join(folder, "model.safetensors")),
  },
  {
    what: "folder missing",
    code: "model_file_missing",
    damage: (folder) => rmSync(folder, { recursive: true }),
  },
  {
    what: "table truncated",
    code: "model_invalid",
    damage: (folder) => truncateSync(join(folder, "model.safetensors"), 2000),
  },
  {
    what: "table truncated with a fitting checksum",
    code: "model_invalid",
    change: (files) => {
      const name = "model.safetensors";
      files.set(name, Buffer.from(files.get(name)?.subarray(0, 2000) ?? []));
    },
  },
  {
    what: "one byte of the table changed",
    code: "model_invalid",
    damage: (folder) => {
      const path = join(folder, "model.safetensors");
      const bytes = readFileSync(path);
      bytes[3000] = (bytes[3000] ?? 0) ^ 1;
      writeFileSync(path, bytes);
    },
  },
  {
    what: "a row that is not a number",
    code: "model_invalid",
    change: (files) => setScale(files, 40, Number.NaN),
  },
  {
    what: "other dims than the table has",
    code: "model_invalid",
    change: (files) => editJson(files, "config.json", (config) => (config["dims"] = 32)),
  },
  {
    what: "tokenizer that is no JSON",
    code: "tokenizer_invalid",
    change: (files) => files.set("tokenizer.json", Buffer.from("{")),
  },
  {
    what: "tokenizer changed",
    code: "tokenizer_invalid",
    damage: (folder) => writeFileSync(join(folder, "tokenizer.json"), "{}"),
  },
];

let workplace: Workplace;
let model: string;
let folder: string;
let environment: Record<string, string>;

beforeAll(async () => {
  workplace = await openWorkplace();
  model = join(workplace.folder, "models", "static-16");
  folder = join(workplace.folder, "texts");
  environment = { CANDOR_MODELS_STATIC: model };
  writeStaticModel(model);
  await writeFiles(folder, { "one.md": "Water and fire.", "two.md": "Milk and bread." });
  const server = await workplace.serve(environment);
  await server.ask("POST", "/collections", { name: "notes" });
  expect(await sync(server, "notes", folder)).toMatchObject({ state: "succeeded", done: 2 });
  await server.stop();
  await writeFiles(folder, { "new.md": "The moon at night." });
});
afterAll(closeWorkplaces);

/** One fault of each code is indexed by command too. */
const byCommand = new Set(["table missing", "table truncated", "tokenizer changed"]);

describe.each(faults)("$what", ({ what, code, change, damage }) => {
  let server: Server;
  let before: Record<string, number>;

  beforeAll(async () => {
    rmSync(model, { recursive: true, force: true });
    writeStaticModel(model, change);
    damage?.(model);
    before = countContent(workplace.home);
    server = await workplace.serve(environment);
  });
  afterAll(async () => {
    expect(countContent(workplace.home)).toEqual(before);
    await server.kill();
  });
  beforeEach(() => expect(before).toMatchObject({ documents: 2, vectors: 2 }));

  test("is the error of an embedding, a document and a new collection, kept in the ledger", async () => {
    const asked = [
      ["embeddings.embed", "/embeddings", { kind: "query", inputs: ["moon"] }],
      ["documents.add", "/collections/notes/documents", { content: "The sun." }],
      ["collections.create", "/collections", { name: "more" }],
    ] as const;
    for (const [operation, path, body] of asked) {
      const answer = await server.ask("POST", path, body);
      expect(answer).toMatchObject({ status: 500, body: { code, retryable: false } });
      expect(answer.body["instance"]).toMatch(/^urn:candor:led_/);
      const entry = await entryOf(server, answer.body["instance"]);
      expect(entry).toMatchObject({ code, operation, category: "ml_model", severity: "critical" });
    }
  });

  test("fails the new file of a sync; what is indexed stays", async () => {
    const job = await sync(server, "notes", folder);
    expect(job).toMatchObject({ state: "partial", done: 2, failed: 1 });
    expect(job.result).toMatchObject({ unchanged: 2, failed: 1, removed: 0 });
    expect(await failedItems(server, job.id)).toMatchObject([{ item: "new.md", code }]);
    const { body } = await server.ask("GET", "/collections/notes");
    expect(body["counts"]).toMatchObject({ documents: 2, chunks: 2, vectors: 2 });
  });

  test("leaves a hybrid search its words and says so; by meaning alone there is no answer", async () => {
    const ask = (mode: string) =>
      server.ask("POST", "/search", { query: "milk", collections: ["notes"], mode });
    const hybrid = await ask("hybrid");
    expect(hybrid).toMatchObject({ status: 200, body: { items: [{ key: "two.md" }] } });
    expect(hybrid.body["notices"]).toMatchObject([{ code: "keyword_only" }]);
    const [notice] = hybrid.body["notices"] as { details: { ledgerId: string } }[];
    expect(await entryOf(server, notice?.details.ledgerId)).toMatchObject({ code });
    const keyword = await ask("keyword");
    expect(keyword).toMatchObject({ status: 200, body: { items: [{ key: "two.md" }] } });
    expect(keyword.body).not.toHaveProperty("notices");
    expect(await ask("semantic")).toMatchObject({ status: 500, body: { code } });
  });

  test("is told by the commands with the same code", async () => {
    const [embedded, indexed] = await Promise.all([
      workplace.candor(["embed", "moon", "--kind", "query"]),
      byCommand.has(what) ? workplace.candor(["index", folder, "--collection", "notes"]) : null,
    ]);
    expect(embedded).toMatchObject({ code: 1, stdout: "" });
    expect(embedded.stderr).toContain(`error (${code})`);
    if (indexed === null) return;
    expect(indexed.code).toBe(4);
    expect(indexed.stderr).toMatch(/failed: new\.md: .* \(led_/);
  });
});
