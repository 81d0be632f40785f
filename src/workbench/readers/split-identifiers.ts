/** Longer runs are encoded data, not names: splitting them would fill the index with noise. */
const longestIdentifier = 128;

const identifier = /[\p{L}_$][\p{L}\p{M}\p{N}_$]*(?:-[\p{L}\p{N}_$][\p{L}\p{M}\p{N}_$]*)*/gu;

/** An acronym before a capitalised word, a word, letters without case, digits. */
const part = /\p{Lu}+(?!\p{Ll})|\p{Lu}?(?:\p{Ll}\p{M}*)+|[\p{Lo}\p{Lm}\p{Lt}\p{M}]+|\p{N}+/gu;

/**
 * The extra words that the keyword index gets for a text: each identifier's parts at the borders of camelCase,
 * PascalCase, snake_case, kebab-case and digits, lower-cased and in order (`parseHTTPHeader2` gives
 * `parse http header 2`), as often as it occurs. Plain words add nothing.
 */
export function splitIdentifiers(text: string): string {
  const words: string[] = [];
  for (const [name] of text.matchAll(identifier)) {
    if (name.length > longestIdentifier) continue;
    const parts = name.match(part) ?? [];
    if (parts.length > 1) words.push(...parts);
  }
  return words.join(" ").toLowerCase();
}
