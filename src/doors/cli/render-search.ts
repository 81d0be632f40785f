import type { Answer } from "./send.ts";
import { showSafely, showTime, wrap, type Output } from "./terminal.ts";

type Scores = { fused?: number; semantic?: number; keyword?: number };
type Range = { from: number; to: number };

/** A hit of `search.query` as far as it is shown. */
export type Hit = {
  chunk: string;
  collection: string;
  key: string;
  title: string | null;
  snippet: string;
  highlights: readonly (readonly [number, number])[];
  location: { lines?: Range; characters: Range };
  scores: Scores;
  ranks: { semantic?: number; keyword?: number };
  freshness: { state: "current" | "stale" | "unknown"; indexedAt: string };
};

type SearchAnswer = {
  items: readonly Hit[];
  nextCursor: string | null;
  legs: readonly {
    name: string;
    state: string;
    candidates: number;
    approximate: boolean;
    reason?: string;
  }[];
  weight: number;
  space: { name: string };
  searched: { collections: number; documents: number; chunks: number };
  tookMs?: number;
};

/** What is known beside the answer: names of collections by id, explanations by chunk. */
export type Beside = {
  readonly names: ReadonlyMap<string, string>;
  readonly explanations: ReadonlyMap<string, Answer>;
};

/** Ranked passages: place, title, score parts with their ranks, freshness, snippet with the found words in bold. */
export function renderSearch(answer: Answer, beside: Beside, output: Output): string {
  const found = answer as unknown as SearchAnswer;
  const hits = found.items.map((hit, index) => renderHit(hit, index + 1, beside, output));
  const none = hits.length === 0 ? ["nothing found"] : [];
  const more =
    found.nextCursor === null
      ? []
      : [output.style("dim", `more: add --cursor ${found.nextCursor}`)];
  return [...hits, ...none, [renderSummary(found, output), ...more].join("\n")].join("\n\n");
}

function renderHit(hit: Hit, rank: number, beside: Beside, output: Output): string {
  const { lines, characters } = hit.location;
  const place = lines
    ? `${hit.key}:${lines.from}-${lines.to}`
    : `${hit.key} characters ${characters.from}-${characters.to}`;
  const name = beside.names.get(hit.collection);
  const title = hit.title === null ? "" : `  ${hit.title}`;
  const head = `${rank}. ${output.style("cyan", showSafely(place))}${output.style("bold", showSafely(title))}${name === undefined ? "" : `  [${name}]`}`;
  const explanation = beside.explanations.get(hit.chunk);
  return [
    head,
    output.style("dim", wrap(renderScores(hit), output.columns, "   ")),
    wrap(renderSnippet(hit, output), output.columns, "   "),
    ...(explanation === undefined
      ? []
      : [renderExplanation(explanation, output).replaceAll(/^/gm, "   ")]),
  ].join("\n");
}

function renderScores({ scores, ranks, freshness }: Hit): string {
  const part = (name: keyof Scores, rank?: number) => {
    const score = scores[name];
    if (score === undefined) return [];
    return [`${name} ${score.toFixed(3)}${rank === undefined ? "" : ` (rank ${rank})`}`];
  };
  return [
    ...part("fused"),
    ...part("semantic", ranks.semantic),
    ...part("keyword", ranks.keyword),
    `${freshness.state}, indexed ${showTime(freshness.indexedAt)}`,
  ].join(" · ");
}

/** The snippet on as few lines as it needs; highlights are ranges of UTF-16 characters, end exclusive. */
function renderSnippet({ snippet, highlights }: Hit, output: Output): string {
  const flat = (text: string) => showSafely(text).replaceAll(/\s+/g, " ");
  const parts: string[] = [];
  let position = 0;
  for (const [from, to] of highlights.toSorted((one, other) => one[0] - other[0])) {
    parts.push(
      flat(snippet.slice(position, from)),
      output.style("bold", flat(snippet.slice(from, to))),
    );
    position = to;
  }
  return [...parts, flat(snippet.slice(position))].join("").trim();
}

function renderSummary(found: SearchAnswer, output: Output): string {
  const { legs, searched, weight, space, tookMs } = found;
  const ran = legs.map(
    ({ name, state, candidates, approximate, reason }) =>
      `${name} ${state === "run" ? `${candidates} candidates${approximate ? ", approximate" : ""}` : `${state}${reason === undefined ? "" : ` (${showSafely(reason)})`}`}`,
  );
  const text = [
    `searched ${searched.chunks} chunks of ${searched.documents} documents in ${count(searched.collections, "collection")}`,
    ...ran,
    `weight of meaning ${weight}`,
    `space ${space.name}`,
    ...(tookMs === undefined ? [] : [`${tookMs} ms`]),
  ].join(" · ");
  return output.style("dim", wrap(text, output.columns));
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** Pairs of words shown of an explanation; the rest is in `other`. */
const shownPairs = 8;

type Explanation = {
  keyword: {
    terms: readonly {
      term: string;
      stem: string;
      idf: number;
      tf: number;
      score: number;
      column: string;
    }[];
    dropped: readonly string[];
  } | null;
  semantic: {
    cosine: number;
    pairs: readonly { query: { text: string }; passage: { text: string }; share: number }[] | null;
  } | null;
  fused: { semanticScaled: number; keywordScaled: number; value: number } | null;
  weight: number;
};

/** Why a passage was found: each word's part of the keyword score, the largest word pairs of the cosine, the fusion. */
export function renderExplanation(answer: Answer, output: Output): string {
  const { keyword, semantic, fused, weight } = answer as unknown as Explanation;
  const lines: string[] = [];
  if (keyword !== null) {
    const terms = keyword.terms.map(
      ({ term, stem, tf, idf, score, column }) =>
        `${term}${stem === term ? "" : ` (${stem})`} ${score.toFixed(3)} = ${tf} times in ${column}, idf ${idf.toFixed(2)}`,
    );
    lines.push(`words: ${terms.length === 0 ? "none found" : terms.join("; ")}`);
    if (keyword.dropped.length > 0) lines.push(`words left out: ${keyword.dropped.join(", ")}`);
  }
  if (semantic !== null)
    lines.push(`meaning: cosine ${semantic.cosine.toFixed(3)}${showPairs(semantic.pairs)}`);
  if (fused !== null)
    lines.push(
      `fused: ${weight} × ${fused.semanticScaled.toFixed(3)} (meaning) + ${Number((1 - weight).toFixed(4))} × ${fused.keywordScaled.toFixed(3)} (words) = ${fused.value.toFixed(3)}`,
    );
  return lines.map((line) => wrap(showSafely(line), output.columns)).join("\n");
}

function showPairs(pairs: NonNullable<Explanation["semantic"]>["pairs"]): string {
  if (pairs === null) return "; this space has no shares of word pairs";
  const shown = pairs
    .slice(0, shownPairs)
    .map(({ query, passage, share }) => `${query.text}~${passage.text} ${share.toFixed(3)}`);
  return `, of it ${shown.join(", ")}${pairs.length > shownPairs ? ", …" : ""}`;
}
