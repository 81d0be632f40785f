import { setImmediate as nextTurn } from "node:timers/promises";
import { sql, type Kysely } from "kysely";
import type { CollectionRow, Database, Tables } from "#base/database/index.ts";
import { KeywordIndexDamagedError } from "#base/errors/index.ts";
import type { Ledger } from "#base/ledger/index.ts";
import { splitIdentifiers } from "#workbench/readers/index.ts";

/** Columns of the keyword index, in the order of its table, with their weight in bm25 (SQLite FTS5 documentation, section 5.1.1). */
export const keywordColumns = [
  { name: "body", weight: 1 },
  { name: "identifiers", weight: 0.25 },
  { name: "heading", weight: 1 },
  { name: "path", weight: 1 },
] as const;

/** Words of one query that are looked up; longer queries use their first ones, and say so in `search.explain`. */
const longestQueryWords = 64;

/** From this many chunks on, words that stand in most of them are dropped from long queries: they cost much and score nothing. */
const dropCommonFrom = 2000;
const longQueryWords = 3;

/** The keyword table of a collection. Each has its own, so that one owner's texts never weigh in another's scores. */
function tableName(collection: string): string {
  return `words_${collection.toLowerCase()}`;
}

export type KeywordEntry = {
  readonly row: number;
  readonly body: string;
  readonly identifiers: string;
  readonly heading: string;
  readonly path: string;
};

/**
 * The words by which a stored chunk is found. The index keeps no text of its own: to take an entry out it must be given
 * the very words that were put in, so they are made of nothing but what the rows hold.
 */
export function keywordEntry(
  document: { readonly title: string | null; readonly key: string },
  chunk: { readonly row: number; readonly text: string; readonly heading: readonly string[] },
  identifiers = splitIdentifiers(chunk.text),
): KeywordEntry {
  return {
    row: chunk.row,
    body: chunk.text,
    identifiers,
    heading: [document.title ?? "", ...chunk.heading].join(" "),
    path: document.key,
  };
}

/**
 * Makes the keyword table: Porter stems over Unicode words, accents removed, the texts themselves not stored twice. Not
 * with `contentless_delete`: with it SQLite 3.53.4 never takes deleted rows out of the count and the mean length that
 * BM25 rests on, and scores drift with every replaced document.
 */
export async function createKeywordTable(
  tables: Kysely<Tables>,
  collection: string,
): Promise<void> {
  const columns = sql.raw(keywordColumns.map(({ name }) => name).join(", "));
  await sql`create virtual table ${sql.table(tableName(collection))} using fts5(
    ${columns}, content='', tokenize='porter unicode61 remove_diacritics 2')`.execute(tables);
}

export async function dropKeywordTable(tables: Kysely<Tables>, collection: string): Promise<void> {
  await sql`drop table ${sql.table(tableName(collection))}`.execute(tables);
}

/** Up to so many chunks, all keyword tables are made again after a process died: about 0.6 s. */
const cheapChunks = 10_000;

/** Chunks put back into a keyword table before other work gets a turn: about 10 ms. */
const chunksPerTurn = 200;

/** Chunks that an entry is made of, with what their document gives. */
const entrySource = sql`from chunks join documents on documents.id = chunks.document_id`;

/** What is wrong with a collection's keyword table as a whole, or null: it must be sound and have an entry per chunk. */
async function findKeywordFault(database: Database, collection: string): Promise<string | null> {
  const table = tableName(collection);
  const { rows: parts } = await sql<{ name: string }>`select name from sqlite_master
    where name in (${table}, ${`${table}_docsize`})`.execute(database.unscoped);
  if (parts.length < 2) return "is missing, or a part of it";
  const sizes = sql.table(`${table}_docsize`);
  const { rows } = await sql<{ without: number; extra: number }>`select
    (select count(*) from chunks where collection_id = ${collection} and row not in (select id from ${sizes})) as without,
    (select count(*) from ${sizes} where id not in (select row from chunks where collection_id = ${collection})) as extra`.execute(
    database.unscoped,
  );
  const { without = 0, extra = 0 } = rows[0] ?? {};
  return without + extra === 0
    ? null
    : `lacks ${without} chunks and has ${extra} that are not there`;
}

/** Makes a collection's keyword table again from its chunks, while others go on reading. */
async function rebuildKeywords(database: Database, collection: string): Promise<void> {
  const table = tableName(collection);
  await database.maintain(async ({ tables }) => {
    database.indexes.makeDroppable(table);
    await sql`drop table if exists ${sql.table(table)}`.execute(tables);
    await createKeywordTable(tables, collection);
    for (let after = 0; ;) {
      const { rows } = await sql<{
        row: number;
        text: string;
        heading: string;
        key: string;
        title: string | null;
      }>`
        select chunks.row, chunks.text, chunks.heading, documents.key, documents.title ${entrySource}
        where chunks.collection_id = ${collection} and chunks.row > ${after} order by chunks.row limit ${chunksPerTurn}`.execute(
        tables,
      );
      for (const { key, title, ...chunk } of rows) {
        const heading = JSON.parse(chunk.heading) as string[];
        await addKeywords(tables, collection, keywordEntry({ key, title }, { ...chunk, heading }));
      }
      const last = rows.at(-1);
      if (!last) return;
      after = last.row;
      await nextTurn();
    }
  });
  database.indexes.mended(table);
}

/** Keeps every keyword table whole: one that is found damaged is made again from the chunks, and its leg fails until then. */
export type KeywordUpkeep = {
  /** Looks at every table where opening the store could not vouch for them, and mends what is damaged. */
  checkAll(): Promise<void>;
};

export function keepKeywords(database: Database, ledger: Ledger): KeywordUpkeep {
  const { indexes } = database;
  let mending: Promise<void> = Promise.resolve();
  const mendOne = async (table: string): Promise<void> => {
    const owner = await database.unscoped
      .selectFrom("collections")
      .select(["id", "name"])
      .where((is) => is(is.fn("lower", ["id"]), "=", table.slice("words_".length)))
      .executeTakeFirst();
    if (!owner) return indexes.mended(table);
    const facts = { facts: { collection: owner.id } };
    const what = `The keyword index of collection ${owner.name} is damaged or missing; it is made again from the stored texts.`;
    await ledger.record(new KeywordIndexDamagedError(what), facts);
    try {
      await rebuildKeywords(database, owner.id);
    } catch (thrown) {
      // The table stays marked: its leg goes on failing, and says so, until a restart tries again.
      await ledger.record(thrown, facts);
    }
  };
  const mend = (table: string) => (mending = mending.then(() => mendOne(table)));
  indexes.onDamage((table) => void mend(table));
  return {
    checkAll: async () => {
      for (const table of indexes.all()) await mend(table);
      if (database.found.checked === "checksums") return;
      for (const id of await collectionsToCheck(database))
        if ((await findKeywordFault(database, id)) !== null) indexes.report(tableName(id));
      await mending;
      // A check of the structure misses most single bits: where that is cheap, nothing rests on it.
      if (database.found.lastStop === "unclean" && (await countAllChunks(database)) <= cheapChunks)
        for (const id of await collectionsToCheck(database)) await rebuildKeywords(database, id);
    },
  };
}

async function countAllChunks(database: Database): Promise<number> {
  const { count } = await database.unscoped
    .selectFrom("chunks")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** All but those whose removal for good has begun: their table goes last. */
async function collectionsToCheck(database: Database): Promise<string[]> {
  const rows = await database.unscoped
    .selectFrom("collections")
    .leftJoin("trash_entries", "trash_entries.id", "collections.trash_id")
    .select("collections.id")
    .where((is) => is.or([is("purging", "is", null), is("purging", "=", 0)]))
    .execute();
  return rows.map(({ id }) => id);
}

/** What is known to be wrong is not asked: a part of the hits would pass for all of them. */
function refuseDamaged(database: Database, collection: string): void {
  if (database.indexes.isDamaged(tableName(collection)))
    throw new KeywordIndexDamagedError(
      `The keyword index of collection ${collection} is damaged and is being made again.`,
      { retryAfterMs: 5000 },
    );
}

export async function addKeywords(
  tables: Kysely<Tables>,
  collection: string,
  entry: KeywordEntry,
): Promise<void> {
  await sql`insert into ${sql.table(tableName(collection))} (rowid, body, identifiers, heading, path)
    values (${entry.row}, ${entry.body}, ${entry.identifiers}, ${entry.heading}, ${entry.path})`.execute(
    tables,
  );
}

/** Takes an entry out; it must be the one that was added. */
export async function removeKeywords(
  tables: Kysely<Tables>,
  collection: string,
  entry: KeywordEntry,
): Promise<void> {
  const table = tableName(collection);
  await sql`insert into ${sql.table(table)} (${sql.ref(table)}, rowid, body, identifiers, heading, path)
    values ('delete', ${entry.row}, ${entry.body}, ${entry.identifiers}, ${entry.heading}, ${entry.path})`.execute(
    tables,
  );
}

/** One looked-up word of a query. */
export type QueryWord = { readonly word: string; readonly dropped: "common" | "too many" | null };

/** The words of a query: every run of letters and digits, identifiers whole and in parts, each once, in order. */
export function queryWords(query: string): string[] {
  const found = new Set<string>();
  for (const [token] of query
    .toWellFormed()
    .matchAll(/[\p{L}\p{N}\p{M}_]+(?:-[\p{L}\p{N}_]+)*/gu)) {
    found.add(token.toLowerCase());
    for (const part of splitIdentifiers(token).split(" ")) if (part !== "") found.add(part);
  }
  return [...found];
}

/**
 * English words that carry a question and not its subject. A small collection of notes may hold few of them, so that
 * their rarity would outweigh the words that matter.
 */
const functionWords = new Set(
  "a an and are as at be been by can could did do does for from had has have how i if in into is it its me my of on or our shall should so that the their them there these they this those to was we were what when where which while who whom whose why will with would you your".split(
    " ",
  ),
);

/**
 * Chooses the words that are looked up: not more than the limit, no function words, and in long queries over many
 * chunks not the commonest. A query of nothing but such words keeps them: it is still a query.
 */
export async function chooseWords(
  database: Database,
  collection: CollectionRow,
  query: string,
): Promise<QueryWord[]> {
  const limited = queryWords(query).map((word, index): QueryWord => ({
    word,
    dropped: index >= longestQueryWords ? "too many" : null,
  }));
  const words = dropWhere(limited, ({ word }) => functionWords.has(word));
  const looked = words.filter(({ dropped }) => dropped === null);
  if (looked.length <= longQueryWords) return words;
  // The leg that would use them says what is wrong; the words still mark what was looked for.
  if (database.indexes.isDamaged(tableName(collection.id))) return words;
  const total = await countRows(database, collection.id);
  if (total < dropCommonFrom) return words;
  const common = new Set<string>();
  for (const { word } of looked)
    if ((await wordFrequency(database, collection.id, word)) * 2 >= total) common.add(word);
  return dropWhere(words, ({ word }) => common.has(word));
}

/** Marks the words that `condition` holds for as dropped, unless none would be left. */
function dropWhere(
  words: readonly QueryWord[],
  condition: (entry: QueryWord) => boolean,
): QueryWord[] {
  const marked = words.map((entry): QueryWord =>
    entry.dropped === null && condition(entry) ? { word: entry.word, dropped: "common" } : entry,
  );
  return marked.some(({ dropped }) => dropped === null) ? marked : [...words];
}

async function countRows(database: Database, collection: string): Promise<number> {
  const row = await database.unscoped
    .selectFrom("chunks")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("collection_id", "=", collection)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** Chunks that hold the word's stem. */
export async function wordFrequency(
  database: Database,
  collection: string,
  word: string,
): Promise<number> {
  const table = sql.table(tableName(collection));
  const found = await sql<{ count: number }>`select count(*) as count from ${table}
    where ${table} match ${quoted(word)}`.execute(database.unscoped);
  return Number(found.rows[0]?.count ?? 0);
}

/** One term as FTS5 syntax in which nothing of it is an operator. */
function quoted(word: string): string {
  return `"${word.replaceAll('"', '""')}"`;
}

// `+rowid` everywhere beside MATCH: with a plain rowid condition SQLite 3.53.4 returns rows that do not match.

/** A match of the keyword leg: the chunk's row and minus its bm25, larger is better. */
export type KeywordMatch = { readonly row: number; readonly score: number };

/**
 * The best `limit` chunks by BM25 (Robertson and Zaragoza 2009; k1 1.2, b 0.75 as built into FTS5), best first, ties by
 * row. `documents` restricts to documents that a filter left.
 */
export async function matchKeywords(
  database: Database,
  collection: string,
  words: readonly QueryWord[],
  limit: number,
  documents: readonly string[] | null,
): Promise<KeywordMatch[]> {
  const match = words.filter((entry) => entry.dropped === null).map((entry) => quoted(entry.word));
  if (match.length === 0) return [];
  refuseDamaged(database, collection);
  const table = sql.table(tableName(collection));
  const score = bm25(collection);
  const among =
    documents === null
      ? sql``
      : sql`and +rowid in (select row from chunks where document_id in (select value from json_each(${JSON.stringify(documents)})))`;
  const found = await sql<KeywordMatch>`select rowid as row, -${score} as score from ${table}
    where ${table} match ${match.join(" OR ")} ${among} order by score desc, rowid limit ${limit}`.execute(
    database.unscoped,
  );
  return found.rows;
}

function bm25(collection: string) {
  const weights = sql.raw(keywordColumns.map(({ weight }) => String(weight)).join(", "));
  return sql`bm25(${sql.table(tableName(collection))}, ${weights})`;
}

export type TermShare = {
  term: string;
  stem: string;
  idf: number;
  tf: number;
  score: number;
  column: string;
};

/** What each word gave to one chunk's score; BM25 is a sum over words, so these add up to it. */
export async function explainKeywords(
  database: Database,
  collection: string,
  words: readonly QueryWord[],
  row: number,
): Promise<TermShare[]> {
  refuseDamaged(database, collection);
  const total = await countRows(database, collection);
  const table = sql.table(tableName(collection));
  const shares: TermShare[] = [];
  for (const { word, dropped } of words) {
    if (dropped !== null) continue;
    const found = await sql<{ score: number }>`select -${bm25(collection)} as score from ${table}
      where ${table} match ${quoted(word)} and +rowid = ${row}`.execute(database.unscoped);
    const score = found.rows[0]?.score;
    if (score === undefined) continue;
    const frequency = await wordFrequency(database, collection, word);
    const counts = database.words.occurrences(tableName(collection), word, row);
    const most = counts.toSorted((a, b) => b.count - a.count)[0];
    shares.push({
      term: word,
      stem: database.words.stem(word),
      idf: Math.max(1e-6, Math.log((total - frequency + 0.5) / (frequency + 0.5))),
      tf: counts.reduce((sum, { count }) => sum + count, 0),
      score,
      column: most?.column ?? "body",
    });
  }
  return shares;
}
