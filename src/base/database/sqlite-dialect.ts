import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import { toDatabaseError } from "./driver-errors.ts";

/** Prepared statements kept per connection; the product's own queries number fewer. */
const statementCacheSize = 256;

/** Called with the driver's error of a statement and the statement, before the error rises. */
export type OnFailure = (thrown: unknown, statement: string) => void;

/** What the statements kept per connection were good for. */
export type StatementFigures = { hits: number; misses: number; evictions: number; entries: number };

export function noStatements(): StatementFigures {
  return { hits: 0, misses: 0, evictions: 0, entries: 0 };
}

/** Kysely over one open node:sqlite connection. Transactions are not Kysely's: the group commit owns them. */
export function sqliteDialect(
  connection: DatabaseSync,
  onFailure: OnFailure,
  figures: StatementFigures,
): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createDriver: () => {
      const session = sqliteSession(connection, onFailure, figures);
      const refuse = () =>
        Promise.reject(new TypeError("use database.write for a transaction: it groups commits"));
      return {
        init: () => Promise.resolve(),
        acquireConnection: () => Promise.resolve(session),
        beginTransaction: refuse,
        commitTransaction: refuse,
        rollbackTransaction: refuse,
        releaseConnection: () => Promise.resolve(),
        destroy: () => Promise.resolve(),
      };
    },
  };
}

/** A statement and whether it gives rows, which takes as long to ask as a small query does to run. */
type Prepared = { readonly statement: StatementSync; readonly hasRows: boolean };

function prepare(connection: DatabaseSync, text: string): Prepared {
  const statement = connection.prepare(text);
  return { statement, hasRows: statement.columns().length > 0 };
}

function sqliteSession(
  connection: DatabaseSync,
  onFailure: OnFailure,
  figures: StatementFigures,
): DatabaseConnection {
  const statements = new Map<string, Prepared>();
  const prepared = (text: string): Prepared => {
    const known = statements.get(text);
    if (known) figures.hits += 1;
    else figures.misses += 1;
    const statement = known ?? prepare(connection, text);
    statements.delete(text);
    statements.set(text, statement);
    if (statements.size > statementCacheSize) {
      for (const oldest of statements.keys()) {
        statements.delete(oldest);
        figures.evictions += 1;
        break;
      }
    }
    figures.entries = statements.size;
    return statement;
  };
  const execute = <Row>(query: CompiledQuery): QueryResult<Row> => {
    try {
      const { statement, hasRows } = prepared(query.sql);
      const values = query.parameters as readonly SQLInputValue[];
      if (hasRows) return { rows: statement.all(...values) as Row[] };
      const { changes, lastInsertRowid } = statement.run(...values);
      return {
        rows: [],
        numAffectedRows: BigInt(changes),
        insertId: BigInt(lastInsertRowid),
      };
    } catch (thrown) {
      onFailure(thrown, query.sql);
      throw toDatabaseError(thrown, connection);
    }
  };
  return {
    executeQuery: async (query) => execute(query),
    async *streamQuery<Row>(query: CompiledQuery) {
      const statement = connection.prepare(query.sql);
      for (const row of statement.iterate(...(query.parameters as SQLInputValue[])))
        yield { rows: [row as Row] };
    },
  };
}
