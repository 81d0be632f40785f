import { createHash } from "node:crypto";
import { z } from "zod";
import { ModelInvalidError } from "#base/errors/index.ts";

/** Most values of one vector; embedding models have 64 to 4,096. */
const mostDimensions = 8_192;

/** The only preparation of text that the format knows, in the words of its definition. */
const camelCaseSplit =
  "camelCase split: ([A-Z]+)([A-Z][a-z]) -> '$1 $2', then ([a-z0-9])([A-Z]) -> '$1 $2'";

/** config.json of a folder in the format candor-static-1. Unknown fields are refused: they would be ignored silently. */
const configSchema = z.strictObject({
  format: z.literal("candor-static-1"),
  dims: z.int().min(1).max(mostDimensions),
  /** Rows of the table; the tokenizer's ids stay below. */
  vocabulary: z.int().min(1),
  /** A description of the tensors for readers; what counts are the tensors themselves. */
  tensors: z.record(z.string(), z.string()).optional(),
  preprocess: z.literal(camelCaseSplit),
  special_tokens: z.literal(false),
  pooling: z.literal("mean"),
  normalize: z.literal(true),
  /** Put before each text; a missing one is empty. */
  prefixes: z.strictObject({ query: z.string().optional(), passage: z.string().optional() }),
  /** Tokens read of one text, prefix included; null or missing: all of them. */
  max_tokens: z.int().min(1).nullable().optional(),
  teacher: z.string().optional(),
});

export type StaticModelConfig = z.infer<typeof configSchema>;

/** Parses a config.json. Throws `ModelInvalidError` that names every bad field and the valid values. */
export function parseStaticConfig(bytes: Uint8Array): StaticModelConfig {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ModelInvalidError("config.json is not JSON", { cause });
  }
  const parsed = configSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new ModelInvalidError(
    `config.json does not describe a candor-static-1 model: ${z.prettifyError(parsed.error)}`,
  );
}

/**
 * The revision that ties vectors to what made them: "sha256:" and the sha256 (hex) of these lines, each ended by a
 * newline: `candor-static-1`, the sha256 of model.safetensors, the sha256 of tokenizer.json, and the JSON array
 * `[dims, vocabulary, max_tokens or null, query prefix, passage prefix]`. The other fields of the configuration can
 * have one value only, or describe.
 */
export function computeRevision(
  config: StaticModelConfig,
  modelSha256: string,
  tokenizerSha256: string,
): string {
  const { query = "", passage = "" } = config.prefixes;
  const fields = [config.dims, config.vocabulary, config.max_tokens ?? null, query, passage];
  const lines = [config.format, modelSha256, tokenizerSha256, JSON.stringify(fields)];
  const text = lines.map((line) => `${line}\n`).join("");
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}
