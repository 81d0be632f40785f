import type { Database } from "#base/database/index.ts";
import { toLocation } from "./documents.ts";
import { freshness } from "./freshness.ts";
import type { Hit } from "./query.ts";
import type { RankedHit } from "./rank.ts";
import { makeSnippet } from "./snippet.ts";

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
