import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  CancelledError,
  type CandorError,
  EmbeddingInferenceError,
  ModelFileMissingError,
  ModelInvalidError,
  OutOfMemoryError,
  TextWithoutTokensError,
  WorkerTimeoutError,
} from "#base/errors/index.ts";
import { createWorkers } from "#base/workers/index.ts";
import { editJson, writeStaticModel } from "../../../test/fixtures/change-static-model.ts";
import { createStaticRuntime } from "./index.ts";

const root = new URL("../../../", import.meta.url);
const folders = {
  "candor-static-256": fileURLToPath(new URL("assets/candor-static-256", root)),
  "static-16": fileURLToPath(new URL("test/fixtures/static-16", root)),
};
const expectedFolder = new URL("test/fixtures/static-expected/", root);
const texts = JSON.parse(readFileSync(new URL("texts.json", expectedFolder), "utf8")) as string[];
const expected = JSON.parse(readFileSync(new URL("expected.json", expectedFolder), "utf8")) as {
  [model in keyof typeof folders]: { ids: number[]; vector?: number[] }[];
};
const endings: (() => Promise<void> | void)[] = [];

type Limits = { threadMegabytes?: number; idleMs?: number; callLimitMs?: number };

function setUp(limits: Limits = {}, threads = 1) {
  const faults: CandorError[] = [];
  const workers = createWorkers({ onFault: ({ error }) => faults.push(error) });
  endings.push(() => workers.dispose());
  return { faults, workers, runtime: createStaticRuntime({ workers, threads, ...limits }) };
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "candor-static-"));
  endings.push(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function failureOf(work: Promise<unknown>): Promise<CandorError> {
  const outcome = await work.then(
    (value) => ({ value }),
    (error: CandorError) => ({ error }),
  );
  if ("error" in outcome) return outcome.error;
  throw new Error(`expected a failure, got ${JSON.stringify(outcome.value)}`);
}

const rowOf = (batch: { vectors: Float32Array }, row: number, dims: number): number[] => [
  ...batch.vectors.subarray(row * dims, (row + 1) * dims),
];

afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

describe.each(["candor-static-256", "static-16"] as const)("vectors of %s", (name) => {
  const dims = name === "static-16" ? 16 : 256;
  const limit = name === "static-16" ? 16 : Number.POSITIVE_INFINITY;

  test("agree with the reference in double precision to 1e-6 and have length 1", async () => {
    const model = setUp().runtime.open(folders[name]);
    const cases = expected[name].filter((item) => item.vector !== undefined);
    const batch = await model.embed(texts.slice(0, cases.length), "passage");
    expect(cases.length).toBeGreaterThan(10);
    for (const [index, { ids, vector }] of cases.entries()) {
      const row = rowOf(batch, index, dims);
      for (const [j, value] of row.entries())
        expect(Math.abs(value - (vector?.[j] ?? Number.NaN))).toBeLessThanOrEqual(1e-6);
      expect(Math.hypot(...row)).toBeCloseTo(1, 6);
      expect(batch.items[index]).toEqual({
        tokens: Math.min(ids.length, limit),
        truncated: ids.length > limit ? { tokens: ids.length, limit } : null,
        error: null,
      });
    }
  });

  test("are the same bits alone, in any batch, in any thread, as query or passage", async () => {
    const { runtime } = setUp({}, 2);
    const model = runtime.open(folders[name]);
    const some = texts.slice(0, 8);
    const together = await model.embed(some, "passage");
    const alone = await Promise.all(some.map((text) => model.embed([text], "query")));
    for (const [index, batch] of alone.entries())
      expect(rowOf(batch, 0, dims)).toEqual(rowOf(together, index, dims));
    expect(model.status()).toMatchObject({ threads: 2, size: 2 });
  });
});

describe("a batch answers per item", () => {
  test("half of it may fail, each with its own error, and no failed row passes for a vector", async () => {
    const model = setUp().runtime.open(folders["static-16"]);
    const batch = await model.embed(
      ["cat", "", "[PAD]", "dog", " \u0001\n", "[PAD][PAD]"],
      "passage",
    );
    const errors = batch.items.map((item) => item.error);
    expect(errors.map((error) => error?.code)).toEqual([
      undefined,
      "text_without_tokens",
      "inference_failed",
      undefined,
      "text_without_tokens",
      "inference_failed",
    ]);
    expect(errors[1]).toBeInstanceOf(TextWithoutTokensError);
    expect(errors[2]).toBeInstanceOf(EmbeddingInferenceError);
    expect(errors[2]?.message).toContain('"[PAD]"');
    for (const index of [1, 2, 4, 5])
      expect(rowOf(batch, index, 16).every((value) => Number.isNaN(value))).toBe(true);
    for (const index of [0, 3]) expect(Math.hypot(...rowOf(batch, index, 16))).toBeCloseTo(1, 6);
  });

  test("no texts give no rows", async () => {
    const model = setUp().runtime.open(folders["static-16"]);
    const batch = await model.embed([], "query");
    expect(batch.vectors).toHaveLength(0);
    expect(batch.items).toEqual([]);
  });

  test("tokens are counted without a limit", async () => {
    const model = setUp().runtime.open(folders["static-16"]);
    expect(await model.countTokens(["", "cat", "cat ".repeat(40)])).toEqual([0, 1, 40]);
  });
});

describe("description", () => {
  test("names dims, vocabulary and a revision that the documented formula gives", async () => {
    const model = setUp().runtime.open(folders["candor-static-256"]);
    const sha256 = (bytes: Buffer | string): string =>
      createHash("sha256").update(bytes).digest("hex");
    const fileHash = (name: string): string =>
      sha256(readFileSync(join(folders["candor-static-256"], name)));
    const modelSha256 = "2887bb6fd96f387d8bf39cb54b71ce8db5347105d75600d532692a5a65be7a8e";
    const tokenizerSha256 = fileHash("tokenizer.json");
    expect(fileHash("model.safetensors")).toBe(modelSha256);
    const lines = `candor-static-1\n${modelSha256}\n${tokenizerSha256}\n[256,30522,null,"",""]\n`;
    expect(await model.describe()).toEqual({
      name: "candor-static-256",
      format: "candor-static-1",
      dims: 256,
      vocabulary: 30522,
      maxTokens: null,
      prefixes: { query: "", passage: "" },
      pooling: "mean",
      normalized: true,
      revision: `sha256:${sha256(lines)}`,
      modelSha256,
      tokenizerSha256,
    });
    expect((await model.embed(["a"], "query")).revision).toBe(`sha256:${sha256(lines)}`);
  });

  test("every field that changes vectors changes the revision, a description does not", async () => {
    const { runtime } = setUp();
    const revisionWith = async (field: string, value: unknown): Promise<string> => {
      const folder = temporaryFolder();
      writeStaticModel(folder, (files) =>
        editJson(files, "config.json", (config) => (config[field] = value)),
      );
      return (await runtime.open(folder).describe()).revision;
    };
    const revisions = await Promise.all([
      revisionWith("teacher", "somebody"),
      revisionWith("max_tokens", null),
      revisionWith("max_tokens", 15),
      revisionWith("prefixes", { query: "q: " }),
      revisionWith("prefixes", { passage: "q: " }),
    ]);
    expect(new Set(revisions).size).toBe(5);
    expect(revisions[0]).toBe((await runtime.open(folders["static-16"]).describe()).revision);
  });
});

describe("prefixes", () => {
  test("each role gets its own, and a prefix alone is no text", async () => {
    const { runtime } = setUp();
    const folder = temporaryFolder();
    writeStaticModel(folder, (files) =>
      editJson(
        files,
        "config.json",
        (config) => (config["prefixes"] = { query: "search query: " }),
      ),
    );
    const model = runtime.open(folder);
    const plain = runtime.open(folders["static-16"]);
    const direct = await plain.embed(["search query: red cat", "red cat"], "passage");
    const [query, passage] = await Promise.all([
      model.embed(["red cat"], "query"),
      model.embed(["red cat"], "passage"),
    ]);
    expect(rowOf(query, 0, 16)).toEqual(rowOf(direct, 0, 16));
    expect(rowOf(passage, 0, 16)).toEqual(rowOf(direct, 1, 16));
    expect(query.items[0]?.tokens).toBe(5);
    const blank = await model.embed([" "], "query");
    expect(blank.items[0]?.error).toBeInstanceOf(TextWithoutTokensError);
  });
});

describe("faults of files", () => {
  test("a repaired file works without a restart", async () => {
    const { runtime, faults } = setUp();
    const folder = temporaryFolder();
    writeStaticModel(folder, (files) => files.delete("model.safetensors"));
    const model = runtime.open(folder);
    const error = await failureOf(model.embed(["cat"], "query"));
    expect(error).toBeInstanceOf(ModelFileMissingError);
    expect(error.message).toContain("model.safetensors");
    writeStaticModel(folder);
    expect((await model.embed(["cat"], "query")).items[0]?.error).toBeNull();
    expect(faults).toEqual([]);
  });

  test("files that are exchanged while in use never answer under the first revision", async () => {
    const { runtime } = setUp({ idleMs: 5 });
    const folder = temporaryFolder();
    writeStaticModel(folder);
    const model = runtime.open(folder);
    await model.embed(["cat"], "query");
    await vi.waitFor(() => expect(model.status().threads).toBe(0), 10_000);
    writeStaticModel(folder, (files) =>
      editJson(files, "config.json", (config) => (config["max_tokens"] = 4)),
    );
    const error = await failureOf(model.embed(["cat"], "query"));
    expect(error).toBeInstanceOf(ModelInvalidError);
    expect(error.message).toContain("exchanged while in use");
  });

  test("a file that changed after it was installed is refused by its checksum", async () => {
    const { runtime } = setUp();
    const folder = temporaryFolder();
    writeStaticModel(folder);
    const path = join(folder, "model.safetensors");
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const error = await failureOf(runtime.open(folder).describe());
    expect(error).toBeInstanceOf(ModelInvalidError);
    expect(error.message).toMatch(/model\.safetensors is damaged: its sha256 is [0-9a-f]{64}/);
  });
});

describe("limits of threads", () => {
  test("a model that needs more memory than allowed fails typed, the process goes on", async () => {
    const { runtime, faults } = setUp({ threadMegabytes: 20 });
    const error = await failureOf(runtime.open(folders["candor-static-256"]).embed(["a"], "query"));
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(faults).toEqual([error]);
  });

  test("a call beyond its time is stopped, the next one works", async () => {
    const { runtime, faults } = setUp({ callLimitMs: 400 });
    const model = runtime.open(folders["static-16"]);
    await model.describe();
    const endless = Array.from({ length: 400 }, () => "getUserName of the red cat ".repeat(2000));
    const error = await failureOf(model.embed(endless, "passage"));
    expect(error).toBeInstanceOf(WorkerTimeoutError);
    expect(faults).toEqual([error]);
    expect((await model.embed(["cat"], "query")).items[0]?.error).toBeNull();
    expect(model.status()).toMatchObject({ restarts: 1 });
  });

  test("a cancelled call ends its thread, the next one works", async () => {
    const { runtime, faults } = setUp();
    const model = runtime.open(folders["static-16"]);
    await model.describe();
    const controller = new AbortController();
    const endless = Array.from({ length: 400 }, () => "getUserName of the red cat ".repeat(2000));
    const running = failureOf(model.embed(endless, "passage", { signal: controller.signal }));
    controller.abort();
    expect(await running).toBeInstanceOf(CancelledError);
    expect((await model.embed(["cat"], "query")).items[0]?.error).toBeNull();
    expect(faults).toEqual([]);
  });

  test("nothing is loaded before the first call; one folder has one handle; dispose may be called twice", async () => {
    const { runtime, workers } = setUp();
    const model = runtime.open(folders["static-16"]);
    expect(runtime.open(`${folders["static-16"]}/../static-16/`)).toBe(model);
    expect(workers.status()).toMatchObject([{ threads: 0 }]);
    await model.describe();
    await runtime.dispose();
    await runtime.dispose();
    expect(workers.status()).toEqual([]);
    expect(await failureOf(model.describe())).toBeInstanceOf(CancelledError);
    expect((await runtime.open(folders["static-16"]).describe()).dims).toBe(16);
  });
});
