import { z } from "zod";
import { errorCatalogue, noticeCatalogue } from "#base/errors/index.ts";
import { buildCommands } from "#doors/cli/index.ts";
import { type Operation, operations } from "#operations/index.ts";
import { environmentNames, settingsByKey } from "../src/base/config/settings.ts";

/** A JSON Schema of 2020-12. */
export type Schema = z.core.JSONSchema.JSONSchema;

/** Fields by dotted path (`items[].location.lines.from`); each with its marks: `integer, optional, >= 1, <= 100`. */
export type Fields = Readonly<Record<string, string>>;

type OperationSurface = {
  readonly http: string | null;
  readonly commands: readonly string[];
  readonly tools: readonly string[];
  readonly input: Fields;
  readonly output: Fields;
};

/** Everything that users, scripts and agents name. */
export type Surface = {
  readonly operations: Readonly<Record<string, OperationSurface>>;
  readonly commands: readonly string[];
  /** With the HTTP status of each. */
  readonly errors: Readonly<Record<string, number>>;
  readonly notices: readonly string[];
  readonly settings: Fields;
};

/** The surface as the code has it now. */
export function describeSurface(table: readonly Operation[] = operations): Surface {
  const commands = buildCommands(table).map(({ operation, words }) => ({
    operation: operation?.name,
    words: words.join(" "),
  }));
  return {
    operations: Object.fromEntries(
      table.map((operation) => [
        operation.name,
        {
          http: operation.http
            ? `${operation.http.method} ${operation.http.root ? "" : "/api/v1"}${operation.http.path}`
            : null,
          commands: commands
            .filter((command) => command.operation === operation.name)
            .map(({ words }) => words),
          tools: (operation.tools ?? []).map(({ name }) => name),
          input: describeFields(toSchema(operation.input, "input"), "input"),
          output: describeFields(toSchema(operation.output, "output"), "output"),
        },
      ]),
    ),
    commands: commands.flatMap(({ operation, words }) => (operation ? [] : [words])),
    errors: Object.fromEntries(
      [...errorCatalogue]
        .map(([code, { status }]) => [code, status] as const)
        .toSorted(([one], [other]) => (one < other ? -1 : 1)),
    ),
    notices: Object.keys(noticeCatalogue).toSorted(),
    settings: Object.fromEntries(
      [...settingsByKey].map(([key, { kind, range, runtime }]) => [
        key,
        [
          ...environmentNames(key),
          kind,
          ...(range === null ? [] : "values" in range ? range.values.map(quote) : boundsOf(range)),
          ...(runtime ? ["at run time"] : []),
        ].join(", "),
      ]),
    ),
  };
}

/** Which side of an operation a schema describes: callers may leave input fields out, and rely on output fields that are always there. */
export type Side = "input" | "output";

/** The JSON Schema of what callers send or get; what JSON cannot show, such as bytes, may be anything. */
export function toSchema(schema: z.ZodType, side: Side): Schema {
  return z.toJSONSchema(schema, { io: side, unrepresentable: "any" });
}

/** The fields of a schema with their marks. */
export function describeFields(schema: Schema, side: Side): Fields {
  const found = walk(schema, { root: schema, side, open: [] });
  found.delete("");
  return Object.fromEntries([...found].map(([path, marks]) => [path, [...marks].join(", ")]));
}

type Marks = ReadonlySet<string>;
type Found = Map<string, Marks>;
type Context = { readonly root: Schema; readonly side: Side; readonly open: readonly string[] };

/** Paths below a schema, the schema itself at "". */
function walk(schema: Schema, context: Context): Found {
  if (schema.$ref !== undefined) return walkReference(schema.$ref, context);
  const choices = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap(asSchema);
  if (choices.length > 0)
    return mergeChoices(
      choices.map((choice) => walk(choice, context)),
      context.side,
    );
  const values = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  if (values) return new Map([["", new Set(values.map(quote))]]);
  const types = Array.isArray(schema.type) ? schema.type : [schema.type ?? "any"];
  const found: Found = new Map([
    ["", new Set([...types, ...(context.side === "input" ? boundsOf(schema) : [])])],
  ]);
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const [inner = {}] = asSchema(property);
    const mark = markOf(schema.required?.includes(name) ?? false, context.side);
    for (const [path, marks] of walk(inner, context))
      found.set(join(name, path), path === "" && mark ? new Set([...marks, mark]) : marks);
  }
  const [items] = asSchema(schema.items);
  const [rest] = asSchema(schema.additionalProperties);
  const inner: [string, Schema][] = [
    ...(schema.prefixItems ?? [])
      .flatMap(asSchema)
      .map((part, index): [string, Schema] => [`[${index}]`, part]),
    ...(items ? [["[]", items] as [string, Schema]] : []),
    ...(rest && Object.keys(rest).length > 0 ? [["{}", rest] as [string, Schema]] : []),
  ];
  for (const [step, part] of inner)
    for (const [path, marks] of walk(part, context)) found.set(join(step, path), marks);
  return found;
}

function walkReference(reference: string, context: Context): Found {
  // What holds itself is described once, at its first place.
  if (context.open.includes(reference)) return new Map([["", new Set(["as above"])]]);
  const name = reference.replace(/^#\/\$defs\//, "");
  const [target] = asSchema(reference === "#" ? context.root : context.root.$defs?.[name]);
  if (target === undefined) throw new Error(`${reference} leads nowhere`);
  return walk(target, { ...context, open: [...context.open, reference] });
}

/** Alternatives as one: what any of them may be, always there only what all objects among them always have. */
function mergeChoices(choices: readonly Found[], side: Side): Found {
  const merged: Found = new Map();
  const objects = choices.filter((choice) => choice.get("")?.has("object"));
  const always = markOf(true, "output");
  const optional = markOf(false, "input");
  for (const path of new Set(choices.flatMap((choice) => [...choice.keys()]))) {
    const marks = new Set(choices.flatMap((choice) => [...(choice.get(path) ?? [])]));
    const isEverywhere = objects.every((choice) => choice.has(path));
    const isInAll = objects.every((choice) => choice.get(path)?.has(always ?? ""));
    if (side === "output" && always && !isInAll) marks.delete(always);
    if (side === "input" && optional && path !== "" && !isEverywhere) marks.add(optional);
    merged.set(path, marks);
  }
  return merged;
}

function markOf(required: boolean, side: Side): string | null {
  if (side === "input") return required ? null : "optional";
  return required ? "always" : null;
}

function boundsOf(
  schema: Schema | { readonly minimum: number; readonly maximum: number },
): string[] {
  const bound = (label: string, value: unknown) =>
    typeof value === "number" && Math.abs(value) !== Number.MAX_SAFE_INTEGER
      ? [`${label} ${value}`]
      : [];
  const { minimum, maximum, minLength, maxLength, minItems, maxItems } = schema as Schema;
  return [
    ...bound(">=", minimum),
    ...bound("<=", maximum),
    ...bound("characters >=", minLength),
    ...bound("characters <=", maxLength),
    ...bound("entries >=", minItems),
    ...bound("entries <=", maxItems),
  ];
}

function quote(value: unknown): string {
  return JSON.stringify(value);
}

function join(step: string, path: string): string {
  return path === "" || path.startsWith("[") || path.startsWith("{")
    ? step + path
    : `${step}.${path}`;
}

function asSchema(part: unknown): Schema[] {
  return typeof part === "object" && part !== null && !Array.isArray(part) ? [part as Schema] : [];
}
