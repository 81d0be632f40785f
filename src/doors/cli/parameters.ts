import { z } from "zod";
import type { Operation } from "#operations/index.ts";

export type Schema = z.core.JSONSchema.JSONSchema;

/** One argument or option of a command, and the input field it fills. */
export type Parameter = {
  readonly field: string;
  /** As it is typed: the argument's name, or the option's without dashes. */
  readonly name: string;
  readonly place: "argument" | "option";
  /** `switch` takes no value; `json` is an object written as JSON text. */
  readonly kind: "text" | "number" | "switch" | "json";
  readonly required: boolean;
  /** Several arguments, or an option that may be given again. */
  readonly repeated: boolean;
  /** All valid values, where the choice is closed. */
  readonly choices: readonly string[] | null;
  /** What holds when it is left out, as people read it. */
  readonly standard: string | null;
  readonly description: string;
  /** Asked for, hidden, instead of being typed as an argument; its option is a switch. */
  readonly secret: boolean;
  /** A secret without which the operation cannot be called: asked for in any case. */
  readonly asked: boolean;
};

/** The words of a command and its arguments: `docs read <document>` gives the words `docs` and `read`. */
export type CommandPattern = {
  readonly words: readonly string[];
  readonly arguments: readonly { name: string; required: boolean; repeated: boolean }[];
};

const schemas = new WeakMap<Operation, Schema>();

/** The JSON Schema of what an operation takes, made once. */
export function inputSchema(operation: Operation): Schema {
  const known = schemas.get(operation);
  if (known) return known;
  const made = z.toJSONSchema(operation.input, { io: "input", unrepresentable: "any" }) as Schema;
  schemas.set(operation, made);
  return made;
}

/** Takes `noun verb <required> [optional] <several...>` apart. Raises TypeError for a pattern that is none. */
export function parsePattern(command: string): CommandPattern {
  const words: string[] = [];
  const found: { name: string; required: boolean; repeated: boolean }[] = [];
  for (const part of command === "" ? [] : command.split(" ")) {
    const bracketed = /^(?:<([\w-]+)(\.\.\.)?>|\[([\w-]+)(\.\.\.)?\])$/.exec(part);
    if (bracketed) {
      const [, needed, several, optional, severalOptional] = bracketed;
      found.push({
        name: needed ?? optional ?? "",
        required: needed !== undefined,
        repeated: (several ?? severalOptional) !== undefined,
      });
    } else if (/^[a-z][a-z-]*$/.test(part) && found.length === 0) words.push(part);
    else throw new TypeError(`"${command}" is not a command pattern: "${part}" is misplaced`);
  }
  return { words, arguments: found };
}

/** Arguments as the pattern names them; every other field of the input is an option. Raises TypeError when the pattern names a field that is not there. */
export function toParameters(operation: Operation): Parameter[] {
  const schema = inputSchema(operation);
  const pattern = parsePattern(operation.cli?.command ?? "");
  const properties = schema.properties ?? {};
  const named = pattern.arguments.map(({ name, required, repeated }): Parameter => {
    if (!Object.hasOwn(properties, name))
      throw new TypeError(`${operation.name} has no input field "${name}" for its command`);
    return {
      ...describe(schema, name, properties[name]),
      name,
      place: "argument",
      required,
      repeated,
      asked: false,
    };
  });
  const taken = new Set(named.map(({ field }) => field));
  const options = Object.entries(properties)
    .filter(([field]) => !taken.has(field))
    .map(([field, property]): Parameter => {
      const about = describe(schema, field, property);
      const needed = schema.required?.includes(field) ?? false;
      return {
        ...about,
        name: toOptionName(field, about.repeated),
        place: "option",
        required: needed && !about.secret,
        asked: needed && about.secret,
      };
    });
  return [...named, ...options];
}

/** `minScore` as `min-score`; a list by the name of one entry, because the option is given once for each. */
function toOptionName(field: string, repeated: boolean): string {
  const single = repeated ? field.replace(/ies$/, "y").replace(/([^s])s$/, "$1") : field;
  return single.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function describe(
  root: Schema,
  field: string,
  property: unknown,
): Omit<Parameter, "name" | "place" | "required" | "asked"> {
  const readings = alternatives(root, property);
  const list = readings.find(({ type }) => type === "array");
  const meant = list === undefined ? readings : alternatives(root, list.items);
  const choices = meant.flatMap((reading) => reading.enum ?? []).map(String);
  const standard = readings.find((reading) => reading.default !== undefined)?.default;
  const description =
    readings.find((reading) => reading.description !== undefined)?.description ?? "";
  const secret = readings.some(({ writeOnly }) => writeOnly === true);
  return {
    field,
    kind: secret ? "switch" : kindOf(meant),
    repeated: list !== undefined,
    choices: choices.length > 0 ? choices : null,
    standard: standard === undefined ? null : showStandard(standard),
    description: secret
      ? `${description}${description === "" ? "A" : "; a"}sked for, or a line of standard input`
      : description,
    secret,
  };
}

function showStandard(standard: unknown): string {
  return typeof standard === "string" ? standard : JSON.stringify(standard);
}

function kindOf(readings: readonly Schema[]): Parameter["kind"] {
  const types = new Set(readings.flatMap(({ type }) => type ?? []));
  if (types.has("string")) return "text";
  if (types.has("number") || types.has("integer")) return "number";
  if (types.has("boolean")) return "switch";
  return types.has("object") ? "json" : "text";
}

/** Every plain schema of which a value may be: references and unions opened, to a bounded depth because they may be circular. */
function alternatives(root: Schema, part: unknown, depth = 0): Schema[] {
  if (typeof part !== "object" || part === null || Array.isArray(part) || depth > 8) return [];
  const schema = part as Schema;
  const name = /^#\/\$defs\/(.+)$/.exec(schema.$ref ?? "")?.[1];
  return [
    schema,
    ...(name === undefined ? [] : alternatives(root, root.$defs?.[name], depth + 1)),
    ...[...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((each) =>
      alternatives(root, each, depth + 1),
    ),
  ];
}
