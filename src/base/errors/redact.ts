/** What replaces a secret wherever one would have been shown. */
export const redacted = "[redacted]";

/** Longest text kept of one value in details, in UTF-16 characters; user text is cut to its beginning (ERR-12). */
const longestDetail = 400;

/** Deepest nesting kept of details; deeper parts are named, not shown. */
const deepestDetail = 6;

/** Names of fields whose value is a secret whatever it looks like. */
const secretNames =
  /(?:authorization|cookie|password|passwd|passphrase|secret|token|credentials?|(?:secret|api|private|access|signing)[-_.]?key)$/i;

/** Shapes of secrets in running text, each with the reason it is here. */
const secretShapes: readonly (readonly [RegExp, string])[] = [
  [/\bcandor_(?=[a-z_]{0,50}[A-Z0-9-])[A-Za-z0-9_-]{20,}/g, redacted], // our own API keys; names of metrics have lower case only
  [/\bhf_[A-Za-z0-9]{20,}/g, redacted], // model hub tokens
  [/\b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}/g, redacted], // keys of hosted model providers
  [/\bgh[pousr]_[A-Za-z0-9]{20,}/g, redacted], // code hosts
  [/\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g, redacted], // object stores
  [/\bAGE-SECRET-KEY-1[0-9A-Z]{20,}/gi, redacted], // identities that open secrets files
  [/\beyJ[A-Za-z0-9_-]{8,1000}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g, redacted], // JSON web tokens; bounded, for hostile text
  [
    /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{0,8000}?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|$)/g,
    redacted,
  ],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${redacted}`],
  [/([a-z][a-z0-9+.-]{1,20}:(?:\/|~1){1,2}[^\s:/@]{0,200}):[^\s@/]{1,200}@/gi, `$1:${redacted}@`], // password in an address
  [
    /([a-z][a-z0-9+.-]{1,20}%3a(?:%2f){1,2}[^\s%]{0,200}%3a)(?:[^\s%]|%(?!40)[0-9a-f]{2}){1,200}%40/gi,
    `$1${redacted}%40`,
  ], // the same, percent-encoded
  [
    /\b([\w-]{0,40}?(?:password|passwd|passphrase|secret|token|api[_-]?key|secret[_-]?key|access[_-]?key))(["']?\s{0,3}(?:[=:]|%3[ad])\s{0,3}["']?)[^\s"'&,;]{6,}/gi,
    `$1$2${redacted}`,
  ],
];

/** Each shape has one of these in it: most texts have none and are passed after one look. A test holds it against the shapes. */
const hint =
  /[=:]|%3[ad]|candor_|hf_|[spr]k-|gh[pousr]_|AKIA|ASIA|AGE-SECRET|eyJ|PRIVATE KEY|bearer|basic/i;

const knownSecrets = new Set<string>();

/** Registers a live secret (a configured key, a one-time token): it is removed wherever it would appear. Short values are ignored. */
export function protectSecret(secret: string): void {
  if (secret.length >= 8) knownSecrets.add(secret);
}

/** `text` without anything that is or looks like a secret. */
export function redactText(text: string): string {
  let clean = text;
  for (const secret of knownSecrets) clean = clean.replaceAll(secret, redacted);
  if (!hint.test(clean)) return clean;
  for (const [shape, replacement] of secretShapes) clean = clean.replace(shape, replacement);
  return clean;
}

/** A copy of `value` for details, logs and the ledger: secrets removed, long text cut, deep nesting and binary data named. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return cut(redactText(value));
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "function" || typeof value === "symbol") return `[${typeof value}]`;
  if (typeof value !== "object" || value === null) return value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Date)
    return Number.isNaN(value.getTime()) ? "[invalid date]" : value.toISOString();
  if (value instanceof Error) return redactText(`${value.name}: ${value.message}`);
  if (depth >= deepestDetail) return Array.isArray(value) ? `[${value.length} items]` : "[object]";
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => redact(item, depth + 1));
  const entries = Object.keys(value)
    .slice(0, 100)
    .map((name) => [redactText(name), redactField(value, name, depth)]);
  return Object.fromEntries(entries);
}

function redactField(value: object, name: string, depth: number): unknown {
  let item: unknown;
  try {
    item = Reflect.get(value, name);
  } catch (thrown) {
    // A getter that throws must not hide the error whose details it is among.
    return redactText(`[cannot be read: ${String(thrown)}]`);
  }
  return isSecretName(name) && item !== null ? redacted : redact(item, depth + 1);
}

/** Whether a field of this name holds a secret. */
export function isSecretName(name: string): boolean {
  return secretNames.test(name);
}

function cut(text: string): string {
  return text.length <= longestDetail
    ? text
    : `${text.slice(0, longestDetail)}… (${text.length} characters)`;
}
