import { DatabaseSync } from "node:sqlite";
import { sql } from "kysely";
import type { DialectWords } from "./database.ts";
import { toDatabaseError } from "./driver-errors.ts";

/** How keyword tables cut text into words; the stems of queries are made the same way. */
const keywordTokenizer = "porter unicode61 remove_diacritics 2";

/** Stems kept in memory: a large vocabulary of snippets, about 5 MB. */
const keptStems = 50_000;

/** SQLite's way of saying what the engines say differently. */
export function sqliteWords(reader: DatabaseSync): DialectWords {
  let stemmer: DatabaseSync | null = null;
  const known = new Map<string, readonly string[]>();
  const stems = (word: string): readonly string[] => {
    const before = known.get(word);
    if (before) return before;
    const found = stemNow(word);
    if (known.size >= keptStems) known.clear();
    known.set(word, found);
    return found;
  };
  const stemNow = (word: string): string[] => {
    stemmer ??= openStemmer();
    stemmer.prepare("insert into words (rowid, word) values (1, ?)").run(word);
    const found = stemmer.prepare("select term from stems order by offset").all();
    stemmer.exec("delete from words");
    return found.map(({ term }) => String(term));
  };
  return {
    idsIn: (column, ids) =>
      sql<boolean>`${sql.ref(column)} in (select value from json_each(${JSON.stringify(ids)}))`,
    stem: (word) => stems(word).join(" "),
    occurrences: (table, word, row) => {
      const parts = stems(word);
      if (parts.length === 0) return [];
      try {
        reader.exec(
          `create virtual table temp.occurrences using fts5vocab('main', '${table}', 'instance')`,
        );
        try {
          const places = reader.prepare(
            "select col as column, offset from temp.occurrences where term = ? and doc = ?",
          );
          return countPhrase(
            parts.map((part) =>
              places.all(part, row).map(({ column, offset }) => ({
                column: String(column),
                offset: Number(offset),
              })),
            ),
          );
        } finally {
          reader.exec("drop table temp.occurrences");
        }
      } catch (thrown) {
        throw toDatabaseError(thrown);
      }
    },
  };
}

type Place = { column: string; offset: number };

/** How often the parts of a word stand one after the other in each column, given the places of each part. */
function countPhrase(parts: readonly (readonly Place[])[]): { column: string; count: number }[] {
  const counts = new Map<string, number>();
  const [first = [], ...rest] = parts.map(
    (places) => new Set(places.map(({ column, offset }) => `${offset} ${column}`)),
  );
  for (const place of first) {
    const [offset = "", column = ""] = place.split(" ");
    const follows = rest.every((places, index) =>
      places.has(`${Number(offset) + index + 1} ${column}`),
    );
    if (follows) counts.set(column, (counts.get(column) ?? 0) + 1);
  }
  return [...counts].map(([column, count]) => ({ column, count }));
}

function openStemmer(): DatabaseSync {
  const stemmer = new DatabaseSync(":memory:");
  stemmer.exec(`create virtual table words using fts5(word, tokenize='${keywordTokenizer}')`);
  stemmer.exec("create virtual table stems using fts5vocab(words, 'instance')");
  return stemmer;
}
