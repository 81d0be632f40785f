import fc from "fast-check";

/** A value that is looked up when the request is sent: one that the server told under the first of these names, else the other one. */
class KnownValue {
  readonly names: readonly string[];
  readonly at: number;
  readonly otherwise: unknown;

  constructor(names: readonly string[], at: number, otherwise: unknown) {
    this.names = names;
    this.at = at;
    this.otherwise = otherwise;
  }
}

/** Draws a value that is known by then, or from `otherwise`. */
export function knownValue(
  names: readonly string[],
  otherwise: fc.Arbitrary<unknown>,
): fc.Arbitrary<KnownValue> {
  return fc.tuple(fc.nat(), otherwise).map(([at, other]) => new KnownValue(names, at, other));
}

/** Any id of the server, whatever it is of. */
export const anyId = "any id";

/** Names of operations and settings. */
const anyDotted = "any dotted name";

const mostOfEach = 60;

export const singular = (name: string) => name.replace(/s$/, "");

/** What the server told so far, by the name of the field that it stood in; an `id` by what the operation is about. */
export class KnownValues {
  readonly #values = new Map<string, unknown[]>();

  /** What the fuzzer itself lives on is not handed out. */
  readonly #avoided = new Set<unknown>();

  avoid(value: unknown): void {
    this.#avoided.add(value);
  }

  add(name: string, value: unknown): void {
    if (this.#avoided.has(value)) return;
    const known = this.#values.get(name) ?? [];
    if (known.includes(value)) return;
    // The newest push the oldest out: what was deleted is forgotten in time.
    this.#values.set(name, [...known.slice(1 - mostOfEach), value]);
  }

  /** Takes in every short text of an answer; `tag` is the first word of the operation, such as `collections`. */
  learn(answer: unknown, tag: string): void {
    this.#learn(answer, tag, singular(tag));
  }

  #learn(value: unknown, name: string, tag: string): void {
    if (Array.isArray(value)) {
      for (const one of value.slice(0, 20)) this.#learn(one, name, tag);
      return;
    }
    if (typeof value === "object" && value !== null) {
      // The id of an inner object is that of what the object is called.
      for (const [field, one] of Object.entries(value)) {
        const isInner = typeof one === "object" && field !== "items";
        this.#learn(one, field, isInner ? singular(field) : tag);
      }
      return;
    }
    if (typeof value !== "string" || value === "" || value.length > 200) return;
    this.add(name === "id" ? tag : name, value);
    if (/^[a-z]{3}_[0-9A-HJKMNP-TV-Z]{26}$/.test(value)) this.add(anyId, value);
    if (/^[a-z]+\.[a-zA-Z]+$/.test(value)) this.add(anyDotted, value);
  }

  /** A value with everything in it looked up. */
  resolve(value: unknown): unknown {
    if (value instanceof KnownValue) {
      const known =
        value.names.map((name) => this.#values.get(name) ?? []).find((all) => all.length > 0) ?? [];
      return known.length === 0 ? this.resolve(value.otherwise) : known[value.at % known.length];
    }
    if (Array.isArray(value)) return value.map((one) => this.resolve(one));
    if (typeof value !== "object" || value === null) return value;
    // Own fields, whatever they are called.
    return Object.fromEntries(
      Object.entries(value).map(([name, one]) => [
        name.startsWith(dottedField) ? this.#dotted(name) : name,
        this.resolve(one),
      ]),
    );
  }

  #dotted(name: string): string {
    const known = this.#values.get(anyDotted) ?? [];
    const at = Number(name.slice(dottedField.length));
    const found = known[at % Math.max(1, known.length)];
    return typeof found === "string" ? found : name;
  }
}

/** Begins the name of a field that stands for a dotted name; a number follows. */
export const dottedField = "dotted name ";
