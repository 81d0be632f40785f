import { InputInvalidError } from "#base/errors/index.ts";
import {
  hasTokens,
  measure,
  sumRows,
  type TextRole,
  unusable,
  withoutTokens,
} from "./embed-texts.ts";
import type { StaticModel } from "./load-static-model.ts";

/** Most token pairs of one explanation: 2,048 tokens each, about a second of work. Chunks have at most 512 tokens. */
const mostPairs = 2_048 * 2_048;

/** Most pairs that are listed. */
const longestList = 1_000;

/** A token in the original text: UTF-16 offsets, and the slice between them. */
export type TokenPlace = { readonly text: string; readonly from: number; readonly to: number };

/** How much one token of the query and one of the passage add to the cosine, together. */
export type TokenPair = {
  readonly query: TokenPlace;
  readonly passage: TokenPlace;
  readonly share: number;
};

export type TokenPairs = {
  /** The pairs with the largest |share|, largest first; each position pair once. Pairs with a prefix's token are not listed. */
  readonly pairs: readonly TokenPair[];
  /** The sum of all shares that are not listed. */
  readonly otherShare: number;
  /** The sum of all shares: the cosine up to rounding. */
  readonly sum: number;
  /** The cosine of the two vectors as `embed` gives them (float32). */
  readonly cosine: number;
};

type Side = {
  readonly text: string;
  readonly ids: readonly number[];
  /** Undefined for tokens that lie in the prefix. */
  readonly places: readonly (TokenPlace | undefined)[];
  /** Length of the sum of the rows. */
  readonly length: number;
  readonly sum: Float64Array;
};

type Candidate = { readonly i: number; readonly j: number; readonly share: number };

/**
 * The exact parts of a cosine. Pooling is a mean of rows, so with query rows q_i, passage rows p_j, n and m of them:
 * cos = (mean q · mean p) / (|mean q| |mean p|) = sum over i, j of (q_i · p_j) / (|sum q| |sum p|).
 * Throws `TextWithoutTokensError`, `EmbeddingInferenceError`, and `InputInvalidError` for more than 4,194,304 pairs
 * or a `limit` outside 1 to 1,000.
 */
export function explainPairs(
  model: StaticModel,
  query: string,
  passage: string,
  limit: number,
): TokenPairs {
  if (!Number.isInteger(limit) || limit < 1 || limit > longestList)
    throw inputInvalid("/limit", `limit ${limit} must be a whole number from 1 to ${longestList}`);
  const a = readSide(model, query, "query");
  const b = readSide(model, passage, "passage");
  if (a.ids.length * b.ids.length > mostPairs)
    throw inputInvalid(
      "/passage",
      `${a.ids.length} × ${b.ids.length} tokens are more than ${mostPairs} pairs: explain a shorter passage`,
    );
  const { kept, total } = collectShares(model, a, b, limit);
  const pairs = kept.flatMap(({ i, j, share }): TokenPair[] => {
    const [from, to] = [a.places[i], b.places[j]];
    return from === undefined || to === undefined ? [] : [{ query: from, passage: to, share }];
  });
  const listed = pairs.reduce((sum, pair) => sum + pair.share, 0);
  return { pairs, otherShare: total - listed, sum: total, cosine: cosineAsStored(a, b) };
}

function readSide(model: StaticModel, text: string, role: TextRole): Side {
  const { prefixes, maxTokens, dims } = model.description;
  const prefix = prefixes[role];
  const offsets = model.tokenizer.offsets(prefix + text);
  const ids = maxTokens === null ? offsets.ids : offsets.ids.slice(0, maxTokens);
  if (!hasTokens(model, text, role, ids)) throw withoutTokens(model, text);
  const places = ids.map((_, index) => {
    const from = Math.max(0, (offsets.from[index] ?? 0) - prefix.length);
    const to = (offsets.to[index] ?? 0) - prefix.length;
    return to <= 0 ? undefined : { text: text.slice(from, to), from, to };
  });
  const sum = new Float64Array(dims);
  sumRows(model, ids, sum);
  const length = measure(sum);
  if (!(length > 0 && Number.isFinite(length))) throw unusable(model, text, length);
  return { text, ids, places, length, sum };
}

/** All shares summed, and the `limit` largest of those that have a place on both sides. */
function collectShares(
  model: StaticModel,
  a: Side,
  b: Side,
  limit: number,
): { kept: Candidate[]; total: number } {
  const kept: Candidate[] = [];
  let total = 0;
  for (const [i, idA] of a.ids.entries()) {
    for (const [j, idB] of b.ids.entries()) {
      const share = dotRows(model, idA, idB) / (a.length * b.length);
      total += share;
      if (a.places[i] !== undefined && b.places[j] !== undefined)
        keepLargest(kept, { i, j, share }, limit);
    }
  }
  return { kept, total };
}

/** Inserts in order of falling |share|; of equal ones the earlier pair stands first. */
function keepLargest(kept: Candidate[], candidate: Candidate, limit: number): void {
  const size = Math.abs(candidate.share);
  const last = kept.at(-1);
  if (kept.length === limit && last !== undefined && Math.abs(last.share) >= size) return;
  let low = 0;
  let high = kept.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Math.abs(kept[middle]?.share ?? 0) >= size) low = middle + 1;
    else high = middle;
  }
  kept.splice(low, 0, candidate);
  if (kept.length > limit) kept.pop();
}

function dotRows({ table, scales, description }: StaticModel, idA: number, idB: number): number {
  const { dims } = description;
  let dot = 0;
  for (let k = 0; k < dims; k += 1)
    dot += (table[idA * dims + k] ?? 0) * (table[idB * dims + k] ?? 0);
  return dot * (scales[idA] ?? 0) * (scales[idB] ?? 0);
}

/** The dot product of the two unit vectors after they were rounded to float32. */
function cosineAsStored(a: Side, b: Side): number {
  let dot = 0;
  for (const [index, value] of a.sum.entries())
    dot += Math.fround(value / a.length) * Math.fround((b.sum[index] ?? 0) / b.length);
  return dot;
}

function inputInvalid(pointer: string, message: string): Error {
  return new InputInvalidError(message, { errors: [{ pointer, message }] });
}
