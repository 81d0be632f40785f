import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { splitIdentifiers } from "#workbench/readers/index.ts";
import type { OpenApp } from "#app";
import { writeCorpus } from "./corpus.ts";
import { alternate, type Measured, secondsOf, toRow } from "./measurement.ts";
import type { Bench, Indexed } from "./open-bench.ts";

const method =
  "`collections.sync` of a folder of generated Markdown files (five sections of about 180 tokens each) with warm threads: walk, read, cut, embed, store with " +
  "keywords, every file durable by itself. Beside it the same rows (documents, texts, chunks, vectors, keyword entries) in one " +
  "transaction into an empty SQLite file of the same tables. Best of three, alternating, other texts in every round, since equal texts keep their vectors.";

/** Files and chunks per second of a sync. */
export async function indexRate(bench: Bench): Promise<Measured> {
  const { app } = await bench.served();
  const files = bench.size(300, 30);
  const indexed: Indexed[] = [];
  const best = await alternate(bench.size(3, 2), "more", {
    sync: async (round) => {
      const folder = bench.temporaryFolder(`rate-${round}`);
      writeCorpus(folder, files, 1000 + round);
      const made = await bench.index(`rate-${round}`, folder);
      indexed.push(made);
      return made.chunks / made.seconds;
    },
    insert: async (round) => {
      const made = indexed[round];
      if (!made) throw new TypeError(`round ${round} indexed nothing`);
      const copy = readCopy(app, made);
      const path = join(bench.temporaryFolder("insert"), "bare.sqlite");
      return made.chunks / (await secondsOf(() => insertCopy(path, copy)));
    },
  });
  const chunksOfFile = (indexed[0]?.chunks ?? 0) / files;
  const baseline = "bare insert of the same rows";
  return {
    method,
    rows: [
      toRow(
        { name: `Index rate, ${files} files`, figure: best.sync, unit: "chunks/s" },
        { name: baseline, figure: best.insert },
      ),
      toRow(
        { name: `Index rate, ${files} files`, figure: best.sync / chunksOfFile, unit: "files/s" },
        { name: baseline, figure: best.insert / chunksOfFile },
      ),
    ],
  };
}

/** Tables that indexing fills, with the condition for the rows of one collection. */
const tables = [
  { name: "documents", where: "collection_id = ?" },
  { name: "document_texts", where: "collection_id = ?" },
  { name: "chunks", where: "collection_id = ?" },
  {
    name: "vectors",
    where: "chunk_key in (select key from chunks where collection_id = ?)",
  },
] as const;

type Value = string | number | Uint8Array | null;

type Copy = {
  readonly schema: readonly string[];
  readonly rows: ReadonlyMap<string, readonly Value[][]>;
  readonly keywordTable: string;
  /** rowid, body, identifiers, heading, path */
  readonly keywords: readonly Value[][];
};

/** Everything that indexing stored for one collection, read from the store's own file. */
function readCopy({ home }: OpenApp, { collection }: Indexed): Copy {
  const store = new DatabaseSync(join(home.home, "candor.sqlite"), { readOnly: true });
  try {
    const keywordTable = `words_${collection.id.toLowerCase()}`;
    const names = [...tables.map(({ name }) => name), keywordTable];
    const schema = store
      .prepare(
        `select sql from sqlite_master where tbl_name in (${names.map(() => "?").join(", ")}) and sql is not null`,
      )
      .all(...names)
      .map(({ sql }) => String(sql));
    const rows = new Map<string, Value[][]>();
    for (const { name, where } of tables)
      rows.set(
        name,
        store
          .prepare(`select * from ${name} where ${where}`)
          .all(collection.id)
          .map((row) => Object.values(row) as Value[]),
      );
    const keywords = store
      .prepare(
        `select chunks.row, chunks.text, chunks.heading, documents.key, documents.title
         from chunks join documents on documents.id = chunks.document_id where chunks.collection_id = ?`,
      )
      .all(collection.id)
      .map(({ row, text, heading, key, title }): Value[] => [
        Number(row),
        String(text),
        splitIdentifiers(String(text)),
        [String(title ?? ""), ...(JSON.parse(String(heading)) as string[])].join(" "),
        String(key),
      ]);
    return { schema, rows, keywordTable, keywords };
  } finally {
    store.close();
  }
}

/** Stores the copy in a new file, in one transaction. */
function insertCopy(path: string, { schema, rows, keywordTable, keywords }: Copy): void {
  const store = new DatabaseSync(path, { enableForeignKeyConstraints: false });
  try {
    store.exec("pragma journal_mode = wal; pragma synchronous = full");
    for (const statement of schema) store.exec(statement);
    store.exec("begin");
    for (const [name, values] of rows) {
      const places = values[0]?.map(() => "?").join(", ");
      const insert = store.prepare(`insert into ${name} values (${places})`);
      for (const row of values) insert.run(...row);
    }
    const insert = store.prepare(
      `insert into ${keywordTable} (rowid, body, identifiers, heading, path) values (?, ?, ?, ?, ?)`,
    );
    for (const row of keywords) insert.run(...row);
    store.exec("commit");
  } finally {
    store.close();
  }
}
