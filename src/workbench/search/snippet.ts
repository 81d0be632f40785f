/** Longest snippet, in UTF-16 characters: about four lines of a terminal. */
const longestSnippet = 320;

export type Snippet = { snippet: string; highlights: [number, number][] };

/**
 * The part of a passage that shows why it was found: the window with most of the query's words, cut at word borders,
 * and where those words stand in it. `matches` tells whether a word has the stem of one of the query's words.
 */
export function makeSnippet(text: string, matches: (word: string) => boolean): Snippet {
  const spots: [number, number][] = [];
  for (const found of text.matchAll(/[\p{L}\p{N}\p{M}]+/gu))
    if (matches(found[0])) spots.push([found.index, found.index + found[0].length]);
  const from = windowStart(text, spots);
  const to = windowEnd(text, from);
  const snippet = text.slice(from, to);
  const highlights = spots
    .filter(([start, end]) => start >= from && end <= to)
    .map(([start, end]): [number, number] => [start - from, end - from]);
  return { snippet, highlights };
}

/** Where the window with the most matches begins: at a word border a little before its first match. */
function windowStart(text: string, spots: readonly [number, number][]): number {
  if (text.length <= longestSnippet || spots.length === 0) return leadingBlank(text);
  let best = 0;
  let most = -1;
  let end = 0;
  for (const [index, [start]] of spots.entries()) {
    while (end < spots.length && (spots[end]?.[1] ?? 0) - start <= longestSnippet * 0.8) end += 1;
    if (end - index > most) {
      most = end - index;
      best = start;
    }
  }
  const early = Math.max(0, Math.min(best - longestSnippet / 8, text.length - longestSnippet));
  const border = text.slice(Math.floor(early), best).search(/\s\S/);
  return early === 0 ? leadingBlank(text) : border < 0 ? best : Math.floor(early) + border + 1;
}

function windowEnd(text: string, from: number): number {
  const hard = Math.min(text.length, from + longestSnippet);
  if (hard === text.length) return from + text.slice(from).trimEnd().length;
  const border = text.slice(from, hard).search(/\s\S*$/);
  const end = border > longestSnippet / 2 ? from + border : hard;
  // Never between the two halves of a surrogate pair.
  return /[\uD800-\uDBFF]/.test(text.charAt(end - 1)) ? end - 1 : end;
}

function leadingBlank(text: string): number {
  return text.length - text.trimStart().length;
}
