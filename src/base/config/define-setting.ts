import { isAbsolute, normalize } from "node:path";
import { z } from "zod";

/** What is valid, for machines: bounds that are both allowed, or the whole closed choice. */
export type SettingRange =
  | { readonly minimum: number; readonly maximum: number }
  | { readonly values: readonly string[] };

/** What a default may depend on. */
export type DefaultFacts = {
  readonly cores: number;
  readonly homeFolder: string;
  readonly packageFolder: string;
  /** `server` for `candor serve`, `command` for everything else. */
  readonly role: "server" | "command";
};

/** A default: the value itself, or how it is found together with the words that describe it. */
type Default<Value> = Value | { readonly text: string; find(facts: DefaultFacts): Value };

export type Setting<Value = unknown> = {
  /** How a text (flag, environment, `.env`) is read before the schema checks it. */
  readonly kind: "text" | "word" | "integer" | "switch" | "list";
  readonly schema: z.ZodType<Value>;
  /** What is valid, in words: "a whole number from 0 to 65535". */
  readonly rule: string;
  readonly range: SettingRange | null;
  readonly description: string;
  /** Short environment names beside CANDOR_<SECTION>_<KEY>. */
  readonly names: readonly string[];
  /** Whether a change takes effect without a restart; only such settings are stored. */
  readonly runtime: boolean;
  readonly secret: boolean;
  /** Whether values are places: `~` is expanded, relative ones are resolved from where they were written. */
  readonly place: boolean;
  /** null: there is no default. */
  readonly standard: Default<Value> | null;
};

type About<Value> = {
  readonly description: string;
  readonly standard: Default<Value>;
  readonly names?: readonly string[];
  readonly runtime?: boolean;
};

function complete<Value>(
  about: Omit<About<Value>, "standard"> & { standard: Default<Value> | null },
  form: Pick<Setting<Value>, "kind" | "schema" | "rule"> & Partial<Setting<Value>>,
): Setting<Value> {
  return { names: [], runtime: false, secret: false, place: false, range: null, ...about, ...form };
}

/** A whole number between two bounds, both allowed. */
export function integer(minimum: number, maximum: number, about: About<number>): Setting<number> {
  return complete(about, {
    kind: "integer",
    schema: z.int().min(minimum).max(maximum),
    rule: `a whole number from ${minimum} to ${maximum}`,
    range: { minimum, maximum },
  });
}

/** One of a few words. With `anyCase`, `INFO` is read as `info`. */
export function choice<const Word extends string>(
  words: readonly Word[],
  about: About<Word> & { readonly anyCase?: boolean },
): Setting<Word> {
  const { anyCase = false, ...rest } = about;
  return complete(rest, {
    kind: anyCase ? "word" : "text",
    schema: z.enum(words),
    rule: `one of ${words.join(", ")}`,
    range: { values: words },
  });
}

/** On or off. */
export function onOff(about: About<boolean>): Setting<boolean> {
  return complete(about, {
    kind: "switch",
    schema: z.boolean(),
    rule: "true or false",
    range: { values: ["true", "false"] },
  });
}

/** A text of one line that passes `check`, which returns what is wrong or null. */
export function text(
  rule: string,
  check: (value: string) => string | null,
  about: About<string>,
): Setting<string> {
  return complete(about, { kind: "text", schema: checkedText(check), rule });
}

/** A text that is never shown. Without `standard` it has no default. */
export function secretText(
  rule: string,
  check: (value: string) => string | null,
  about: Omit<About<string>, "standard"> & { readonly standard?: string },
): Setting<string> {
  const standard = about.standard ?? null;
  return complete(
    { ...about, standard },
    { kind: "text", schema: checkedText(check), rule, secret: true },
  );
}

/** A list whose entries each pass `check`, which returns what is wrong or null. */
export function list(
  rule: string,
  check: (value: string) => string | null,
  about: About<readonly string[]>,
): Setting<readonly string[]> {
  return complete(about, { kind: "list", schema: z.array(checkedText(check)).max(1000), rule });
}

/** One folder. */
export function folder(about: About<string>): Setting<string> {
  return complete(about, {
    kind: "text",
    schema: checkedText(() => null),
    rule: "a folder; a relative one counts from where it was written",
    place: true,
  });
}

/** One file, or none: there is no default. */
export function file(about: Omit<About<string>, "standard">): Setting<string | undefined> {
  return complete<string | undefined>(
    { ...about, standard: null },
    {
      kind: "text",
      schema: checkedText(() => null),
      rule: "a file; a relative one counts from where it was written",
      place: true,
    },
  );
}

/** A list of folders; with `absolute`, relative ones are refused. */
export function folders(
  about: About<readonly string[]> & { readonly absolute?: boolean; readonly atLeast?: number },
): Setting<readonly string[]> {
  const { absolute = false, atLeast = 0, ...rest } = about;
  const entry = checkedText((value) =>
    absolute && !isAbsolute(value) ? `${JSON.stringify(value)} is not an absolute folder` : null,
  );
  return complete<readonly string[]>(rest, {
    kind: "list",
    schema: z
      .array(absolute ? entry.transform(normalize) : entry)
      .min(atLeast)
      .max(1000),
    rule: absolute ? "a list of absolute folders" : "a list of folders",
    place: !absolute,
  });
}

/** Control characters have no place in a setting: they would forge lines where it is shown. */
// oxlint-disable-next-line no-control-regex
const controlCharacters = /[\u0000-\u001f\u007f]/;

function checkedText(check: (value: string) => string | null) {
  return z.string().superRefine((value, context) => {
    const fault = controlCharacters.test(value)
      ? "contains a line break or another control character"
      : value === ""
        ? "is empty"
        : check(value);
    if (fault !== null) context.addIssue({ code: "custom", message: fault });
  });
}
