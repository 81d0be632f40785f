import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** A line of the marker file: a write was begun or acknowledged; `at` is its place in the log. */
export type Told = {
  readonly at: number;
  readonly what: "begin" | "done";
  readonly thing: string;
  readonly value: string;
};

/** What is wrong after a power loss: what was acknowledged and is not there, and what is broken. */
export type Verdict = { readonly lost: string[]; readonly damaged: string[] };

/** Compares what a data directory holds with what was told before the power was lost. */
export function judge(home: string, told: readonly Told[]): Verdict {
  const damaged: string[] = [];
  const found = new Map<string, string>();
  for (const read of [readFiles, readDatabase])
    try {
      damaged.push(...read(home, found));
    } catch (thrown) {
      damaged.push(thrown instanceof Error ? thrown.message : String(thrown));
    }
  const lost: string[] = [];
  for (const [thing, values] of allowedValues(told)) {
    const value = found.get(thing) ?? "gone";
    if (!values.has(value)) lost.push(`${thing} is ${value}, told was ${[...values].join(" or ")}`);
  }
  return { lost, damaged };
}

/** The value acknowledged last, or one whose write was begun since and may have reached the disk. */
function allowedValues(told: readonly Told[]): Map<string, Set<string>> {
  const allowed = new Map<string, Set<string>>();
  for (const { what, thing, value } of told) {
    if (what === "done") allowed.set(thing, new Set([value]));
    else allowed.set(thing, (allowed.get(thing) ?? new Set(["gone"])).add(value));
  }
  return allowed;
}

/** Files that are written whole; returns those that are not. */
function readFiles(home: string, found: Map<string, string>): string[] {
  const damaged: string[] = [];
  const look = (name: string): Buffer | null => {
    if (!existsSync(join(home, name))) return null;
    const content = readFileSync(join(home, name));
    found.set(`file:${name}`, createHash("sha256").update(content).digest("hex"));
    return content;
  };
  const secret = look("secret-key")?.toString();
  if (secret !== undefined && !/^[0-9a-f]{64}\n$/.test(secret))
    damaged.push(`secret-key is ${JSON.stringify(secret)}`);
  const settings = look("settings.json")?.toString();
  if (settings !== undefined) {
    const values = JSON.parse(settings) as Record<string, unknown>;
    for (const [key, value] of Object.entries(values))
      found.set(`setting:${key}`, JSON.stringify(value));
  }
  const artifacts = join(home, "artifacts");
  for (const name of existsSync(artifacts) ? readdirSync(artifacts) : []) {
    if (name.endsWith(".unfinished")) continue;
    const content = look(`artifacts/${name}`);
    if (name.endsWith(".json")) JSON.parse(content?.toString() ?? "");
    if (name.endsWith(".ndjson")) findWaiting(content?.toString() ?? "", found);
  }
  return damaged;
}

/** Ledger entries that wait outside the database; a line that was torn is none. */
function findWaiting(content: string, found: Map<string, string>): void {
  for (const line of content.split("\n"))
    try {
      const { id } = JSON.parse(line === "" ? "{}" : line) as { id?: string };
      if (id !== undefined) found.set(`waiting:${id}`, "there");
    } catch (thrown) {
      if (!(thrown instanceof SyntaxError)) throw thrown;
    }
}

/** Rows that must not be there, by what they are; `words` is a collection's keyword table. */
const wrongRows = {
  "documents with other chunks than counted": `documents d where chunk_count = 0 or
    chunk_count <> (select count(*) from chunks c where c.document_id = d.id)`,
  "documents without text": `documents where id not in (select document_id from document_texts)`,
  "texts without document": `document_texts where document_id not in (select id from documents)`,
  "chunks without document": `chunks where document_id not in (select id from documents)`,
  "chunks without vector": `chunks where key not in (select chunk_key from vectors)`,
  "vectors without chunk": `vectors where chunk_key not in (select key from chunks union select key from trashed_chunks)`,
  "documents both here and in the trash": `documents where id in (select id from trashed_documents)`,
  "things in the trash without their text": `trashed_documents where id not in (select document_id from trashed_texts)`,
  "vectors of another length": `vectors v where length(vector) <> 4 + 4 * (select dims from spaces s where s.id = v.space_id)`,
};

function readDatabase(home: string, found: Map<string, string>): string[] {
  const path = join(home, "candor.sqlite");
  if (!existsSync(path)) return [];
  const database = new DatabaseSync(path);
  try {
    // This is a copy that is thrown away: it need not be durable.
    database.exec("pragma synchronous = off");
    const all = (query: string) => database.prepare(query).all() as Record<string, unknown>[];
    const damaged = [...all("pragma integrity_check"), ...all("pragma foreign_key_check")]
      .map((row) => JSON.stringify(row))
      .filter((row) => row !== '{"integrity_check":"ok"}');
    if (all("select name from sqlite_master where name = 'trashed_chunks'").length === 0)
      return damaged;
    const rows = (query: string) => Number(all(`select count(*) as n from ${query}`)[0]?.["n"]);
    for (const [what, where] of Object.entries(wrongRows))
      if (rows(where) > 0) damaged.push(`${rows(where)} ${what}`);
    for (const { id } of all("select id from collections")) {
      const words = `words_${String(id).toLowerCase()}`;
      database.exec(`insert into ${words} (${words}) values ('integrity-check')`);
      const without = `chunks where collection_id = '${String(id)}' and row not in (select id from ${words}_docsize)`;
      const alone = `${words}_docsize where id not in (select row from chunks where collection_id = '${String(id)}')`;
      if (rows(without) > 0) damaged.push(`${rows(without)} chunks without keywords`);
      if (rows(alone) > 0) damaged.push(`${rows(alone)} keywords without chunk`);
    }
    for (const [thing, query] of Object.entries(queries))
      for (const { name, value } of all(query))
        found.set(`${thing}:${String(name)}`, String(value));
    return damaged;
  } finally {
    database.close();
  }
}

/** Name and value of what is stored, by the kind under which it is told. */
const queries = {
  collection: "select name, 'there' as value from collections",
  document:
    "select key as name, sha256 as value from documents where collection_id = (select id from collections where name = 'notes')",
  synced:
    "select key as name, sha256 as value from documents where collection_id = (select id from collections where name = 'synced')",
  entry:
    "select id as name, case resolved when 1 then 'resolved' else 'open' end as value from ledger_entries",
  waiting: "select id as name, 'there' as value from ledger_entries",
  job: "select id as name, state as value from jobs where state not in ('queued', 'running')",
};
