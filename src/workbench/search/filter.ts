import { type Expression, type ExpressionBuilder, sql, type SqlBool } from "kysely";
import type { CollectionRow, Database, Tables } from "#base/database/index.ts";
import { InputInvalidError } from "#base/errors/index.ts";

export const filterOperators = [
  "eq",
  "ne",
  "in",
  "lt",
  "lte",
  "gt",
  "gte",
  "contains",
  "exists",
] as const;

type Scalar = string | number | boolean | null;

export type FilterLeaf = {
  field: string;
  op: (typeof filterOperators)[number];
  value?: Scalar | Scalar[] | undefined;
};
export type Filter = FilterLeaf | { and: Filter[] } | { or: Filter[] };

const deepest = 5;
const mostLeaves = 50;

/** Fields of a document that a filter may name; `metadata.<name>` reaches the caller's own. */
const columns: Readonly<Record<string, string>> = {
  id: "documents.id",
  key: "documents.key",
  title: "documents.title",
  mediaType: "documents.media_type",
  format: "documents.format",
  language: "documents.language",
  source: "documents.source_kind",
  bytes: "documents.bytes",
  indexedAt: "documents.indexed_at",
};

type Where = ExpressionBuilder<Tables, "documents">;

/** The documents of `collection` that `filter` leaves. Raises InputInvalidError for unknown fields, naming the valid ones. */
export async function filterDocuments(
  database: Database,
  collection: CollectionRow,
  filter: Filter,
): Promise<string[]> {
  checkFilter(filter);
  const rows = await database.unscoped
    .selectFrom("documents")
    .select("documents.id")
    .where("documents.collection_id", "=", collection.id)
    .where((where) => condition(where, filter))
    .execute();
  return rows.map(({ id }) => id);
}

/** Raises InputInvalidError for a filter too deep or large, with unknown fields, or with values that do not fit. */
export function checkFilter(filter: Filter): void {
  let leaves = 0;
  const visit = (part: Filter, depth: number, pointer: string): void => {
    if (depth > deepest) throw refuse(pointer, `is nested deeper than ${deepest}`);
    if ("and" in part || "or" in part) {
      const [name, parts] = "and" in part ? ["and", part.and] : ["or", part.or];
      for (const [index, inner] of parts.entries())
        visit(inner, depth + 1, `${pointer}/${name}/${index}`);
      return;
    }
    leaves += 1;
    if (leaves > mostLeaves) throw refuse(pointer, `has more than ${mostLeaves} conditions`);
    checkLeaf(part, pointer);
  };
  visit(filter, 1, "/filter");
}

function checkLeaf({ field, op, value }: FilterLeaf, pointer: string): void {
  if (!(field in columns) && !/^metadata\.[^.]{1,100}$/.test(field))
    throw new InputInvalidError(`A filter cannot use the field "${field}".`, {
      errors: [
        {
          pointer: `${pointer}/field`,
          message: "is not a field of documents",
          valid: [...Object.keys(columns), "metadata.<name>"],
        },
      ],
    });
  const list = Array.isArray(value);
  if (op === "in" ? !list : list)
    throw refuse(`${pointer}/value`, op === "in" ? "is a list for in" : "is a single value");
  if (op === "exists" ? value !== undefined && typeof value !== "boolean" : value === undefined)
    throw refuse(`${pointer}/value`, op === "exists" ? "is true or false" : "is missing");
  if (op === "contains" && typeof value !== "string") throw refuse(`${pointer}/value`, "is a text");
  if (field === "indexedAt" && op !== "exists")
    for (const time of list ? value : [value])
      if (typeof time !== "string" || Number.isNaN(Date.parse(time)))
        throw refuse(`${pointer}/value`, "is an ISO 8601 time");
}

function refuse(pointer: string, message: string): InstanceType<typeof InputInvalidError> {
  return new InputInvalidError(`The filter ${pointer} ${message}.`, {
    errors: [{ pointer, message }],
  });
}

function condition(where: Where, filter: Filter): Expression<SqlBool> {
  if ("and" in filter) return where.and(filter.and.map((part) => condition(where, part)));
  if ("or" in filter) return where.or(filter.or.map((part) => condition(where, part)));
  const column = columns[filter.field];
  const left = column
    ? sql`${sql.ref(column)}`
    : sql`json_extract(documents.metadata, ${`$.${JSON.stringify(filter.field.slice("metadata.".length))}`})`;
  const bound = (value: Scalar | undefined) => toBound(filter.field, value);
  const { op, value } = filter;
  const single = bound(Array.isArray(value) ? undefined : value);
  switch (op) {
    case "eq":
      return sql<SqlBool>`${left} is ${single}`;
    case "ne":
      return sql<SqlBool>`${left} is not ${single}`;
    case "in":
      return sql<SqlBool>`${left} in (select value from json_each(${JSON.stringify((Array.isArray(value) ? value : []).map(bound))}))`;
    case "lt":
      return sql<SqlBool>`${left} < ${single}`;
    case "lte":
      return sql<SqlBool>`${left} <= ${single}`;
    case "gt":
      return sql<SqlBool>`${left} > ${single}`;
    case "gte":
      return sql<SqlBool>`${left} >= ${single}`;
    case "contains":
      return sql<SqlBool>`instr(${left}, ${single}) > 0`;
    case "exists":
      return value === false ? sql<SqlBool>`${left} is null` : sql<SqlBool>`${left} is not null`;
  }
}

/** A value as the column stores it: times as milliseconds, booleans as 0 or 1. */
function toBound(field: string, value: Scalar | undefined): string | number | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "boolean") return value ? 1 : 0;
  return field === "indexedAt" ? Date.parse(String(value)) : value;
}
