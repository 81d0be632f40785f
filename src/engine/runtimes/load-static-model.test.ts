import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type CandorError,
  ModelFileMissingError,
  ModelInvalidError,
  TokenizerInvalidError,
} from "#base/errors/index.ts";
import {
  editJson,
  type ModelFiles,
  setScale,
  writeStaticModel,
} from "../../../test/fixtures/change-static-model.ts";
import { loadStaticModel } from "./load-static-model.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "candor-model-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function refusalOf(load: () => unknown): CandorError {
  try {
    load();
  } catch (error) {
    return error as CandorError;
  }
  throw new Error("it was loaded");
}

const setConfig =
  (fields: Record<string, unknown>) =>
  (files: ModelFiles): void =>
    editJson(files, "config.json", (config) => Object.assign(config, fields));

const editTokenizer =
  (edit: (json: { model: Record<string, unknown> } & Record<string, unknown>) => void) =>
  (files: ModelFiles): void =>
    editJson(files, "tokenizer.json", (json) =>
      edit(json as { model: Record<string, unknown> } & Record<string, unknown>),
    );

test("the unchanged model loads", () => {
  writeStaticModel(folder);
  const { description, table, scales } = loadStaticModel(folder);
  expect(description).toMatchObject({ dims: 16, maxTokens: 16 });
  expect(table).toHaveLength(description.vocabulary * 16);
  expect(scales).toHaveLength(description.vocabulary);
});

describe("missing files", () => {
  test.each(["config.json", "model.safetensors", "tokenizer.json"] as const)("%s", (name) => {
    writeStaticModel(folder, (files) => files.delete(name));
    const error = refusalOf(() => loadStaticModel(folder));
    expect(error).toBeInstanceOf(ModelFileMissingError);
    expect(error.message).toContain(join(folder, name));
  });

  test("checksums, or the folder itself", () => {
    writeStaticModel(folder);
    rmSync(join(folder, "SHA256SUMS"));
    expect(refusalOf(() => loadStaticModel(folder))).toBeInstanceOf(ModelFileMissingError);
    const nowhere = join(folder, "nowhere");
    expect(refusalOf(() => loadStaticModel(nowhere))).toBeInstanceOf(ModelFileMissingError);
  });

  test("a file whose checksum is not listed, a listing that cannot be read, a folder in its place", () => {
    writeStaticModel(folder);
    writeFileSync(join(folder, "SHA256SUMS"), "");
    expect(refusalOf(() => loadStaticModel(folder)).message).toMatch(/no checksum of config\.json/);
    writeFileSync(join(folder, "SHA256SUMS"), "abc config.json\n");
    expect(refusalOf(() => loadStaticModel(folder))).toBeInstanceOf(ModelInvalidError);
    expect(refusalOf(() => loadStaticModel("/")).code).toMatch(/^model_/);
  });
});

describe("files that are whole but wrong", () => {
  const cases: [what: string, change: (files: ModelFiles) => void, says: RegExp][] = [
    ["unknown format", setConfig({ format: "candor-static-2" }), /format/],
    ["other pooling", setConfig({ pooling: "max" }), /pooling/],
    ["not normalised", setConfig({ normalize: false }), /normalize/],
    ["special tokens", setConfig({ special_tokens: true }), /special_tokens/],
    ["other preparation", setConfig({ preprocess: "none" }), /preprocess/],
    ["an unknown prefix", setConfig({ prefixes: { document: "d: " } }), /document/],
    ["no tokens at all", setConfig({ max_tokens: 0 }), /max_tokens/],
    ["an unknown field", setConfig({ temperature: 1 }), /temperature/],
    ["wrong dims", setConfig({ dims: 32 }), /shape \[212, 16\], config\.json says \[212, 32\]/],
    ["wrong vocabulary", setConfig({ vocabulary: 213 }), /says \[213, 16\]/],
    ["config that is not JSON", (files) => files.set("config.json", Buffer.from("{")), /not JSON/],
    ["a NaN scale", (files) => setScale(files, 7, Number.NaN), /scale of row 7 is NaN/],
    ["an infinite scale", (files) => setScale(files, 8, -Infinity), /scale of row 8 is -Infinity/],
    [
      "a truncated table",
      (files) =>
        files.set(
          "model.safetensors",
          (files.get("model.safetensors") ?? Buffer.of()).subarray(0, -5),
        ),
      /model\.safetensors: .*beyond the file/,
    ],
    [
      "a table that is no safetensors file",
      (files) => files.set("model.safetensors", Buffer.from("PK")),
      /shorter than the 8-byte/,
    ],
    [
      "a table of another type",
      (files) => {
        const bytes = String(files.get("model.safetensors")?.toString("latin1"));
        files.set("model.safetensors", Buffer.from(bytes.replace('"I8"', '"U8"'), "latin1"));
      },
      /embeddings must have dtype I8/,
    ],
    [
      "a table without scales",
      (files) => {
        const bytes = String(files.get("model.safetensors")?.toString("latin1"));
        files.set(
          "model.safetensors",
          Buffer.from(bytes.replace('"scales"', '"scalez"'), "latin1"),
        );
      },
      /no tensor "scales"; the file has scalez, embeddings/,
    ],
    [
      "a tokenizer with more ids than the table has rows",
      editTokenizer(({ model }) => Object.assign(model["vocab"] as object, { zebra: 212 })),
      /ids up to 212, the table 212 rows/,
    ],
  ];

  test.each(cases)("%s", (_, change, says) => {
    writeStaticModel(folder, change);
    const error = refusalOf(() => loadStaticModel(folder));
    expect(error).toBeInstanceOf(ModelInvalidError);
    expect(error.message).toMatch(says);
  });
});

describe("tokenizers that cannot be used", () => {
  const cases: [what: string, change: (files: ModelFiles) => void, says: RegExp][] = [
    ["broken JSON", (files) => files.set("tokenizer.json", Buffer.from('{"model": {')), /not JSON/],
    ["broken UTF-8", (files) => files.set("tokenizer.json", Buffer.of(0x7b, 0xff)), /not JSON/],
    ["an array", (files) => files.set("tokenizer.json", Buffer.from("[]")), /WordPiece/],
    ["another kind", editTokenizer(({ model }) => (model["type"] = "BPE")), /model\.type/],
    ["no normaliser", editTokenizer((json) => (json["normalizer"] = null)), /normalizer/],
    [
      "an id that is no number",
      editTokenizer(({ model }) => Object.assign(model["vocab"] as object, { zebra: "1" })),
      /zebra/,
    ],
    [
      "an unknown token that is not there",
      editTokenizer(({ model }) => (model["unk_token"] = "[NONE]")),
      /"\[NONE\]" is not in the vocabulary/,
    ],
    [
      "added tokens that swallow spaces",
      editTokenizer((json) =>
        Object.assign((json["added_tokens"] as object[])[0] ?? {}, { lstrip: true }),
      ),
      /lstrip/,
    ],
  ];

  test.each(cases)("%s", (_, change, says) => {
    writeStaticModel(folder, change);
    const error = refusalOf(() => loadStaticModel(folder));
    expect(error).toBeInstanceOf(TokenizerInvalidError);
    expect(error.message).toMatch(says);
  });

  test("a tokenizer that was damaged after it was installed", () => {
    writeStaticModel(folder);
    writeFileSync(join(folder, "tokenizer.json"), "{}");
    const error = refusalOf(() => loadStaticModel(folder));
    expect(error).toBeInstanceOf(TokenizerInvalidError);
    expect(error.message).toMatch(/is damaged/);
  });
});
