import {
  type Expression,
  type ExpressionBuilder,
  type RawBuilder,
  sql,
  type SqlBool,
} from "kysely";
import type { CollectionRow, Database, Tables } from "#base/database/index.ts";
import { DefectError, InputInvalidError } from "#base/errors/index.ts";

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

type Kind = "text" | "number" | "time";

/** Fields of a document that a filter may name, and what they hold; `metadata.<name>` reaches the caller's own. */
const fields: ReadonlyMap<string, { column: string; kind: Kind }> = new Map([
  ["id", { column: "documents.id", kind: "text" }],
  ["key", { column: "documents.key", kind: "text" }],
  ["title", { column: "documents.title", kind: "text" }],
  ["mediaType", { column: "documents.media_type", kind: "text" }],
  ["format", { column: "documents.format", kind: "text" }],
  ["language", { column: "documents.language", kind: "text" }],
  ["source", { column: "documents.source_kind", kind: "text" }],
  ["bytes", { column: "documents.bytes", kind: "number" }],
  ["indexedAt", { column: "documents.indexed_at", kind: "time" }],
]);

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

const ordered: readonly string[] = ["lt", "lte", "gt", "gte"];

function checkLeaf({ field, op, value }: FilterLeaf, pointer: string): void {
  const kind = fields.get(field)?.kind;
  if (kind === undefined && !/^metadata\.[^.]{1,100}$/.test(field))
    throw new InputInvalidError(`A filter cannot use the field "${field}".`, {
      errors: [
        {
          pointer: `${pointer}/field`,
          message: "is not a field of documents",
          valid: [...fields.keys(), "metadata.<name>"],
        },
      ],
    });
  const fault = valueFault(op, value) ?? kindFault(kind, op, value);
  if (fault !== null) throw refuse(`${pointer}/value`, fault);
}

/** What is wrong with a value for its operator, or null. */
function valueFault(op: FilterLeaf["op"], value: FilterLeaf["value"]): string | null {
  if (op === "exists")
    return value === undefined || typeof value === "boolean" ? null : "is true or false";
  if (value === undefined) return "is missing";
  if (Array.isArray(value) !== (op === "in"))
    return op === "in" ? "is a list for in" : "is a single value";
  if (op === "contains" && typeof value !== "string") return "is a text";
  if (ordered.includes(op) && typeof value !== "string" && typeof value !== "number")
    return "is a text or a number: others have no order";
  return null;
}

/** What is wrong with a value for a field of that kind, or null; the caller's own fields hold anything. */
function kindFault(
  kind: Kind | undefined,
  op: FilterLeaf["op"],
  value: FilterLeaf["value"],
): string | null {
  if (kind === undefined || op === "exists") return null;
  if (op === "contains" && kind !== "text") return `belongs to a field of text`;
  for (const one of Array.isArray(value) ? value : [value]) {
    // Nothing is equal to it, or everything without the field.
    if (one === null) continue;
    if (kind === "number" && typeof one !== "number") return "is a number";
    if (kind !== "number" && typeof one !== "string") return "is a text";
    if (
      kind === "time" &&
      (!/^\d{4}-\d\d/.test(String(one)) || Number.isNaN(Date.parse(String(one))))
    )
      return "is an ISO 8601 time";
  }
  return null;
}

function refuse(pointer: string, message: string): InstanceType<typeof InputInvalidError> {
  return new InputInvalidError(`The filter ${pointer} ${message}.`, {
    errors: [{ pointer, message }],
  });
}

function condition(where: Where, filter: Filter): Expression<SqlBool> {
  if ("and" in filter) return where.and(filter.and.map((part) => condition(where, part)));
  if ("or" in filter) return where.or(filter.or.map((part) => condition(where, part)));
  const known = fields.get(filter.field);
  return known
    ? columnCondition(sql`${sql.ref(known.column)}`, known.kind, filter)
    : metadataCondition(filter.field.slice("metadata.".length), filter);
}

type Side = RawBuilder<unknown>;

/** A leaf over a column, whose values are all of one kind or null. */
function columnCondition(column: Side, kind: Kind, { op, value }: FilterLeaf): RawBuilder<SqlBool> {
  const bound = (one: Scalar) => (kind === "time" && one !== null ? Date.parse(String(one)) : one);
  if (Array.isArray(value)) return isAmong(column, value.map(bound));
  if (op === "exists") return isThere(column, value);
  return compare(column, op, bound(value ?? null));
}

/**
 * A leaf over a field of the caller's metadata. A value compares with values of its own type only: no number is less than
 * a text, 1 is not true. A list has what `contains` names as one of its values; null is the same as not there.
 */
function metadataCondition(name: string, { op, value }: FilterLeaf): RawBuilder<SqlBool> {
  const path = `$.${JSON.stringify(name)}`;
  const field = sql`json_extract(documents.metadata, ${path})`;
  const type = sql`coalesce(json_type(documents.metadata, ${path}), 'null')`;
  if (op === "exists") return isThere(field, value);
  const equals = (one: Scalar): RawBuilder<SqlBool> =>
    sql`(${isOfType(type, one)} and ${field} is ${typeof one === "boolean" ? Number(one) : one})`;
  if (Array.isArray(value))
    return sql`exists (select 1 from json_each(${JSON.stringify(value)}) as wanted
      where ${kindOf(sql`wanted.type`)} = ${kindOf(type)} and wanted.value is ${field})`;
  const single = value ?? null;
  if (op === "eq") return equals(single);
  if (op === "ne") return sql`not ${equals(single)}`;
  if (op === "contains")
    return sql`case ${type} when 'text' then instr(${field}, ${single}) > 0 when 'array' then exists
      (select 1 from json_each(documents.metadata, ${path}) where type = 'text' and value = ${single}) else 0 end`;
  return sql`(${isOfType(type, single)} and ${compare(field, op, single)})`;
}

/** A JSON type in which the two of numbers are one, and the two of booleans. */
function kindOf(type: Side): Side {
  return sql`case ${type} when 'real' then 'integer' when 'false' then 'true' else ${type} end`;
}

/** Whether a JSON type is that of `value`. */
function isOfType(type: Side, value: Scalar): RawBuilder<SqlBool> {
  if (value === null) return sql`${type} = 'null'`;
  if (typeof value === "boolean") return sql`${type} in ('true', 'false')`;
  return typeof value === "number" ? sql`${type} in ('integer', 'real')` : sql`${type} = 'text'`;
}

function isThere(left: Side, value: FilterLeaf["value"]): RawBuilder<SqlBool> {
  return value === false ? sql`${left} is null` : sql`${left} is not null`;
}

function isAmong(left: Side, values: readonly Scalar[]): RawBuilder<SqlBool> {
  const orNull = values.includes(null) ? sql` or ${left} is null` : sql``;
  return sql`(${left} in (select value from json_each(${JSON.stringify(values)}))${orNull})`;
}

function compare(left: Side, op: FilterLeaf["op"], value: Scalar): RawBuilder<SqlBool> {
  switch (op) {
    case "eq":
      return sql`${left} is ${value}`;
    case "ne":
      return sql`${left} is not ${value}`;
    case "lt":
      return sql`${left} < ${value}`;
    case "lte":
      return sql`${left} <= ${value}`;
    case "gt":
      return sql`${left} > ${value}`;
    case "gte":
      return sql`${left} >= ${value}`;
    case "contains":
      return sql`instr(${left}, ${value}) > 0`;
    case "in":
    case "exists":
      throw new DefectError(`The filter operator ${op} compares nothing with one value.`);
  }
}
