import type { Kysely, RawBuilder, SelectQueryBuilder } from "kysely";
import type { CandorError } from "#base/errors/index.ts";
import type { StoreFinding } from "./check-store.ts";
import type { StatementFigures } from "./sqlite-dialect.ts";
import type { OpenTables, OwnedTables, Tables } from "./tables.ts";

/** What one caller may reach: ids of collections, or all of them; `principal` owns jobs. */
export type Scope = {
  readonly principal: string;
  readonly read: "all" | readonly string[];
  readonly write: "all" | readonly string[];
};

/** Handle of one write inside its transaction. `answer` keeps with the effect what belongs to the request that has it. */
export type WriteHandle = {
  readonly tables: Kysely<Tables>;
  /** Keeps `value` as the answer of the request, with its audit entry, in this transaction; returns it. */
  readonly answer: <T>(value: T) => Promise<T>;
};

/**
 * The store of truth. SQLite now; PostgreSQL follows behind the same words.
 * Every method raises errors of the database family and nothing else.
 */
export type Database = {
  readonly engine: "sqlite";
  /** Tables without an owner. */
  readonly read: Kysely<OpenTables>;
  /** Owned tables, with the predicate of `scope` already in the query. */
  as(scope: Scope): ScopedReads;
  /** The same for work of Candor itself (jobs, sync, counts across all owners), never for a caller's request. */
  readonly unscoped: Kysely<Tables>;
  /**
   * Runs `work` in a transaction and answers after COMMIT. Works of one tick share a transaction, each in its own
   * savepoint: one that fails is undone alone. `work` may await database calls only, and may run more than once.
   */
  write<T>(work: (handle: WriteHandle) => Promise<T>): Promise<T>;
  /**
   * The same for upkeep that takes long: `work` may let others have a turn, reads go on, and other writes wait until it
   * has ended.
   */
  maintain<T>(work: (handle: WriteHandle) => Promise<T>): Promise<T>;
  /** What opening the store found. */
  readonly found: StoreFinding;
  readonly indexes: DamagedIndexes;
  readonly words: DialectWords;
  /** What was done and what is there, for whoever watches the process. */
  statistics(): DatabaseFigures;
  health(): DatabaseHealth;
  /** A consistent copy of the database as a file, made while work goes on. */
  backup(path: string): Promise<void>;
  close(): Promise<void>;
};

/** Keyword tables that were found damaged or missing, by opening, by a statement or by a check, and not made again yet. */
export type DamagedIndexes = {
  isDamaged(table: string): boolean;
  all(): string[];
  report(table: string): void;
  /** Inside the write that makes it again: a table without its own settings cannot even be dropped, so they are put back. */
  makeDroppable(table: string): void;
  mended(table: string): void;
  /** Calls `listener` with each table that is found from now on. */
  onDamage(listener: (table: string) => void): void;
};

export type ScopedReads = {
  readonly scope: Scope;
  select<Name extends keyof OwnedTables>(
    table: Name,
  ): SelectQueryBuilder<Tables, Name, Record<never, never>>;
};

/** What the two engines say differently. */
export type DialectWords = {
  /** `column in (…ids)` with one parameter however many ids there are. */
  idsIn(column: string, ids: readonly string[]): RawBuilder<boolean>;
  /** The stem under which the keyword index knows `word`; several joined by spaces where it falls into parts. */
  stem(word: string): string;
  /** How often `word` stands in each column of one row of a keyword table; columns without it are left out. */
  occurrences(table: string, word: string, row: number): { column: string; count: number }[];
};

export type DatabaseHealth = {
  state: "ok" | "read_only";
  reason: string | null;
  version: string;
  schemaVersion: number;
};

export type DatabaseFigures = {
  /** Transactions of the group commit, writes in them, and writes that wait for one. */
  readonly groups: number;
  readonly works: number;
  readonly waiting: number;
  /** Prepared statements that are kept, by connection. */
  readonly statements: Readonly<Record<"read" | "write", Readonly<StatementFigures>>>;
  /** Bytes; null where there is no such file. */
  readonly fileBytes: number | null;
  readonly logBytes: number | null;
};

export type DatabaseFault = (error: CandorError) => void;
