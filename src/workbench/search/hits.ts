import type { Database } from "#base/database/index.ts";
import { freshness, toLocation } from "./documents.ts";
import type { Hit } from "./query.ts";
import type { RankedHit } from "./rank.ts";

/** Longest snippet, in UTF-16 characters: about four lines of a terminal. */
const longestSnippet = 320;

/** Loads what a page of ranked hits shows: snippet, place, freshness at this moment. */
export async function loadHits(
  database: Database,
  ranked: readonly RankedHit[],
  words: readonly string[],
): Promise<Hit[]> {
  const ids = ranked.map(({ id }) => id);
  const chunks = await database.unscoped
    .selectFrom("chunks")
    .selectAll()
    .where(database.words.idsIn("id", ids))
    .where("collection_id", "in", (collections) =>
      collections.selectFrom("collections").select("id").where("trash_id", "is", null),
    )
    .execute();
  const documents = await database.unscoped
    .selectFrom("documents")
    .selectAll()
    .where(
      database.words.idsIn(
        "id",
        chunks.map(({ document_id: id }) => id),
      ),
    )
    .execute();
  const matches = stemMatcher(database, words);
  const hits: Hit[] = [];
  for (const { id, collection, scores, ranks } of ranked) {
    const chunk = chunks.find((row) => row.id === id);
    const document = documents.find((row) => row.id === chunk?.document_id);
    // Deleted between ranking and loading: it is not a hit any more.
    if (!chunk || !document) continue;
    hits.push({
      chunk: id,
      document: document.id,
      collection: collection.id,
      key: document.key,
      title: document.title,
      ...makeSnippet(chunk.text, matches),
      location: toLocation(chunk),
      scores,
      ranks,
      freshness: await freshness(document),
    });
  }
  return hits;
}

/** Tells whether a word has the stem of one of the query's words; each word is stemmed once. */
function stemMatcher(database: Database, words: readonly string[]): (word: string) => boolean {
  const wanted = new Set(words.flatMap((word) => database.words.stem(word).split(" ")));
  const known = new Map<string, boolean>();
  return (word) => {
    const before = known.get(word);
    if (before !== undefined) return before;
    const matched = wanted.size > 0 && wanted.has(database.words.stem(word));
    known.set(word, matched);
    return matched;
  };
}

type Snippet = { snippet: string; highlights: [number, number][] };

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
