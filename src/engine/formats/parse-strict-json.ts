/** JSON as written: objects are Maps, so that names like `__proto__` stay names. */
export type StrictJson =
  | null
  | boolean
  | number
  | string
  | readonly StrictJson[]
  | ReadonlyMap<string, StrictJson>;

/** How much of hostile input is looked at. */
export type StrictJsonLimits = {
  /** Deepest nesting of arrays and objects. */
  readonly depth: number;
  /** Most members of one object. */
  readonly members: number;
  /** Most elements of one array. */
  readonly elements: number;
};

type Scanner = {
  readonly text: string;
  readonly limits: StrictJsonLimits;
  readonly fail: (reason: string) => Error;
  position: number;
};

const numberSyntax = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const whitespace = /[ \t\n\r]*/y;
/** Everything but the quote, the backslash and the control characters below the space. */
const plainCharacters = /[ !#-[\]-\uffff]*/y;

/**
 * RFC 8259 JSON from untrusted text, in one linear pass. Unlike `JSON.parse` it refuses duplicate names and lone
 * surrogates and stops at the limits. `fail` makes the error to throw from a reason in words.
 */
export function parseStrictJson(
  text: string,
  limits: StrictJsonLimits,
  fail: (reason: string) => Error,
): StrictJson {
  const scanner: Scanner = { text, limits, fail, position: 0 };
  const value = scanValue(scanner, 0);
  skipWhitespace(scanner);
  if (scanner.position < text.length)
    throw fail(`bytes after the JSON value, from character ${scanner.position} on`);
  return value;
}

function scanValue(scanner: Scanner, depth: number): StrictJson {
  skipWhitespace(scanner);
  const character = scanner.text[scanner.position];
  if (character === "{") return scanObject(scanner, deeper(scanner, depth));
  if (character === "[") return scanArray(scanner, deeper(scanner, depth));
  if (character === '"') return scanString(scanner);
  for (const [word, value] of [
    ["true", true],
    ["false", false],
    ["null", null],
  ] as const)
    if (scanner.text.startsWith(word, scanner.position)) {
      scanner.position += word.length;
      return value;
    }
  const digits = match(scanner, numberSyntax);
  if (digits === "") throw notJson(scanner);
  return Number(digits);
}

function scanObject(scanner: Scanner, depth: number): ReadonlyMap<string, StrictJson> {
  const members = new Map<string, StrictJson>();
  scanner.position += 1;
  if (takes(scanner, "}")) return members;
  do {
    skipWhitespace(scanner);
    if (scanner.text[scanner.position] !== '"') throw notJson(scanner);
    const name = scanString(scanner);
    if (members.has(name)) throw scanner.fail(`${JSON.stringify(name)} is declared twice`);
    if (members.size === scanner.limits.members)
      throw scanner.fail(`more than ${scanner.limits.members} members in one object`);
    if (!takes(scanner, ":")) throw notJson(scanner);
    members.set(name, scanValue(scanner, depth));
  } while (takes(scanner, ","));
  if (!takes(scanner, "}")) throw notJson(scanner);
  return members;
}

function scanArray(scanner: Scanner, depth: number): readonly StrictJson[] {
  const elements: StrictJson[] = [];
  scanner.position += 1;
  if (takes(scanner, "]")) return elements;
  do {
    if (elements.length === scanner.limits.elements)
      throw scanner.fail(`more than ${scanner.limits.elements} elements in one array`);
    elements.push(scanValue(scanner, depth));
  } while (takes(scanner, ","));
  if (!takes(scanner, "]")) throw notJson(scanner);
  return elements;
}

/** The end of the string is found here; its escapes are left to `JSON.parse`, which sees one string at a time. */
function scanString(scanner: Scanner): string {
  const start = scanner.position;
  scanner.position += 1;
  for (;;) {
    match(scanner, plainCharacters);
    const character = scanner.text[scanner.position];
    if (character === '"') break;
    if (character !== "\\") throw notJson(scanner);
    scanner.position += 2;
  }
  scanner.position += 1;
  const literal = scanner.text.slice(start, scanner.position);
  if (!literal.includes("\\")) return literal.slice(1, -1);
  let value: unknown;
  try {
    value = JSON.parse(literal);
  } catch (cause) {
    throw Object.assign(scanner.fail(`a bad escape in ${literal.slice(0, 80)}`), { cause });
  }
  if (typeof value !== "string") throw notJson(scanner);
  if (!value.isWellFormed())
    throw scanner.fail(`${literal.slice(0, 80)} is not valid Unicode (a lone surrogate)`);
  return value;
}

function deeper(scanner: Scanner, depth: number): number {
  if (depth === scanner.limits.depth)
    throw scanner.fail(`nesting deeper than ${scanner.limits.depth}`);
  return depth + 1;
}

/** Passes over `character` when it is next. */
function takes(scanner: Scanner, character: string): boolean {
  skipWhitespace(scanner);
  if (scanner.text[scanner.position] !== character) return false;
  scanner.position += 1;
  return true;
}

function skipWhitespace(scanner: Scanner): void {
  match(scanner, whitespace);
}

/** What the sticky pattern matches at the position, which moves behind it. */
function match(scanner: Scanner, pattern: RegExp): string {
  pattern.lastIndex = scanner.position;
  const found = pattern.exec(scanner.text)?.[0] ?? "";
  scanner.position += found.length;
  return found;
}

function notJson(scanner: Scanner): Error {
  const found = scanner.text.slice(scanner.position, scanner.position + 20);
  return scanner.fail(
    found === ""
      ? "not JSON: it ends in the middle"
      : `not JSON at character ${scanner.position}: ${JSON.stringify(found)}`,
  );
}
