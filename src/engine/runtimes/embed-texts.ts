import {
  EmbeddingInferenceError,
  flattenError,
  type FlatError,
  TextWithoutTokensError,
} from "#base/errors/index.ts";
import type { StaticModel } from "./load-static-model.ts";

/** What a text is embedded as: the model's own prefix for it is put before. */
export type TextRole = "query" | "passage";

/** One text's outcome in a batch. */
export type EmbeddedItem = {
  /** Tokens that made the vector, prefix included. */
  readonly tokens: number;
  /** Set when the text had more tokens than the model reads: how many, and the limit. */
  readonly truncated: { readonly tokens: number; readonly limit: number } | null;
  /** Set when there is no vector for this text. */
  readonly error: FlatError | null;
};

/** Outcomes of a batch in its order. */
export type EmbeddedBatch = {
  /** [texts, dims], each row of length 1. The row of an item with an error is NaN, so that it can never pass for a vector. */
  readonly vectors: Float32Array<ArrayBuffer>;
  readonly items: readonly EmbeddedItem[];
};

/** The ids that the model reads of a text: its prefix before it, cut after `maxTokens`. */
function readTokens(
  model: StaticModel,
  text: string,
  role: TextRole,
): { ids: number[]; truncated: EmbeddedItem["truncated"] } {
  const { prefixes, maxTokens } = model.description;
  const { ids } = model.tokenizer.encode(prefixes[role] + text);
  if (maxTokens === null || ids.length <= maxTokens) return { ids, truncated: null };
  const truncated = { tokens: ids.length, limit: maxTokens };
  return { ids: ids.slice(0, maxTokens), truncated };
}

/** Whether the text itself, without its prefix, has a token: a prefix alone has no meaning of its own. */
export function hasTokens(
  model: StaticModel,
  text: string,
  role: TextRole,
  ids: number[],
): boolean {
  if (model.description.prefixes[role] === "") return ids.length > 0;
  return model.tokenizer.count(text) > 0;
}

/** The sum of the tokens' rows, [dims] in double precision: four rows at a time, which halves the walks over `sum`. */
export function sumRows(model: StaticModel, ids: readonly number[], sum: Float64Array): void {
  const { table, scales } = model;
  const { dims } = model.description;
  sum.fill(0);
  const rows = (index: number): [scale: number, offset: number] => {
    const id = ids[index];
    // Behind the last token: a scale of 0 adds nothing.
    return id === undefined ? [0, 0] : [scales[id] ?? 0, id * dims];
  };
  for (let index = 0; index < ids.length; index += 4) {
    const [scaleA, rowA] = rows(index);
    const [scaleB, rowB] = rows(index + 1);
    const [scaleC, rowC] = rows(index + 2);
    const [scaleD, rowD] = rows(index + 3);
    for (let j = 0; j < dims; j += 1)
      sum[j] =
        (sum[j] ?? 0) +
        scaleA * (table[rowA + j] ?? 0) +
        scaleB * (table[rowB + j] ?? 0) +
        scaleC * (table[rowC + j] ?? 0) +
        scaleD * (table[rowD + j] ?? 0);
  }
}

/**
 * Embeds texts one by one: the normalised mean of the rows of their tokens (the number of tokens falls out of the
 * normalisation, so the sum is taken). A vector depends on its own text alone. A text that fails leaves the others
 * alone: without any token it is `text_without_tokens`, with a sum that has no direction `inference_failed`.
 */
export function embedTexts(
  model: StaticModel,
  texts: readonly string[],
  role: TextRole,
): EmbeddedBatch {
  const { dims } = model.description;
  const vectors = new Float32Array(texts.length * dims).fill(Number.NaN);
  const sum = new Float64Array(dims);
  const items = texts.map((text, index): EmbeddedItem => {
    const { ids, truncated } = readTokens(model, text, role);
    if (!hasTokens(model, text, role, ids))
      return { tokens: 0, truncated: null, error: flattenError(withoutTokens(model, text)) };
    sumRows(model, ids, sum);
    const length = measure(sum);
    if (!(length > 0 && Number.isFinite(length)))
      return { tokens: ids.length, truncated, error: flattenError(unusable(model, text, length)) };
    const row = index * dims;
    for (let j = 0; j < dims; j += 1) vectors[row + j] = (sum[j] ?? Number.NaN) / length;
    return { tokens: ids.length, truncated, error: null };
  });
  return { vectors, items };
}

/** Euclidean length. */
export function measure(vector: Float64Array): number {
  let squares = 0;
  for (const value of vector) squares += value * value;
  return Math.sqrt(squares);
}

export function withoutTokens(model: StaticModel, text: string): Error {
  return new TextWithoutTokensError(
    `${quote(text)} has no token of ${model.description.name}: give it a letter, a digit or a sign`,
  );
}

export function unusable(model: StaticModel, text: string, length: number): Error {
  return new EmbeddingInferenceError(
    `${model.description.name} gives ${quote(text)} a vector of length ${length}, which has no direction`,
    { details: { model: model.description.name, length } },
  );
}

function quote(text: string): string {
  return JSON.stringify(text.length <= 60 ? text : `${text.slice(0, 60)}…`);
}
