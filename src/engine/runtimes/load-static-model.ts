import { ModelInvalidError, TokenizerInvalidError } from "#base/errors/index.ts";
import { parseSafetensorsHeader, readTensor, type TensorValues } from "#engine/formats/index.ts";
import { createTokenizer, type StaticTokenizer } from "./load-tokenizer.ts";
import { openModelFolder, readModelFile } from "./read-model-file.ts";
import {
  computeRevision,
  parseStaticConfig,
  type StaticModelConfig,
} from "./static-model-config.ts";

/** What a static model is, as its folder says it. */
export type StaticModelDescription = {
  readonly name: string;
  readonly format: string;
  readonly dims: number;
  /** Rows of the token table. */
  readonly vocabulary: number;
  /** Tokens read of one text, prefix included; null: all. */
  readonly maxTokens: number | null;
  readonly prefixes: { readonly query: string; readonly passage: string };
  readonly pooling: "mean";
  readonly normalized: true;
  /** "sha256:" + hex; the formula stands at `computeRevision`. */
  readonly revision: string;
  /** Hex. */
  readonly modelSha256: string;
  /** Hex. */
  readonly tokenizerSha256: string;
};

/** A loaded model: row i of the table is `table[i * dims + j] * scales[i]`. */
export type StaticModel = {
  readonly description: StaticModelDescription;
  /** [vocabulary, dims], a view of the file's bytes. */
  readonly table: Int8Array;
  /** [vocabulary] */
  readonly scales: Float32Array;
  readonly tokenizer: StaticTokenizer;
};

/**
 * Loads a folder in the format candor-static-1 (config.json, tokenizer.json, model.safetensors, SHA256SUMS) and checks
 * all of it: checksums, shapes, finite scales, ids inside the table. Throws `ModelFileMissingError`,
 * `ModelInvalidError` or `TokenizerInvalidError`.
 */
export function loadStaticModel(path: string): StaticModel {
  const folder = openModelFolder(path);
  const config = parseStaticConfig(readModelFile(folder, "config.json").bytes);
  const tokenizer = createTokenizer(
    readModelFile(folder, "tokenizer.json", (reason) => new TokenizerInvalidError(reason)),
  );
  if (tokenizer.vocabulary > config.vocabulary)
    throw new ModelInvalidError(
      `${folder.name}: the tokenizer has ids up to ${tokenizer.vocabulary - 1}, the table ${config.vocabulary} rows`,
    );
  const model = readModelFile(folder, "model.safetensors");
  const { table, scales } = readTable(model.bytes, config, folder.name);
  const { query = "", passage = "" } = config.prefixes;
  return {
    table,
    scales,
    tokenizer,
    description: {
      name: folder.name,
      format: config.format,
      dims: config.dims,
      vocabulary: config.vocabulary,
      maxTokens: config.max_tokens ?? null,
      prefixes: { query, passage },
      pooling: config.pooling,
      normalized: config.normalize,
      revision: computeRevision(config, model.sha256, tokenizer.sha256),
      modelSha256: model.sha256,
      tokenizerSha256: tokenizer.sha256,
    },
  };
}

function readTable(
  bytes: Uint8Array,
  { dims, vocabulary }: StaticModelConfig,
  name: string,
): { table: Int8Array; scales: Float32Array } {
  const header = asModelFault(name, () => parseSafetensorsHeader(bytes));
  const read = (tensor: string, shape: readonly number[]): TensorValues => {
    const values = asModelFault(name, () => readTensor(bytes, header, tensor));
    const found = header.tensors.get(tensor)?.shape.join(", ");
    if (found !== shape.join(", "))
      throw new ModelInvalidError(
        `${name}: tensor ${tensor} has shape [${found}], config.json says [${shape.join(", ")}]`,
      );
    return values;
  };
  const table = read("embeddings", [vocabulary, dims]);
  const scales = read("scales", [vocabulary]);
  if (!(table instanceof Int8Array))
    throw new ModelInvalidError(`${name}: tensor embeddings must have dtype I8`);
  if (!(scales instanceof Float32Array))
    throw new ModelInvalidError(`${name}: tensor scales must have dtype F32`);
  const bad = scales.findIndex((scale) => !Number.isFinite(scale));
  if (bad >= 0)
    throw new ModelInvalidError(`${name}: the scale of row ${bad} is ${scales[bad]}, not a number`);
  return { table, scales };
}

/** What the file's reader says about it, said about the model. */
function asModelFault<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ModelInvalidError(`${name}: model.safetensors: ${reason}`, { cause });
  }
}
