/**
 * The places where the format candor-static-1 puts a space: between capitals and a capitalised word (HTTP|Server) and
 * behind a small letter or digit before a capital (get|User). Its definition is the two replacements
 * `([A-Z]+)([A-Z][a-z])` and `([a-z0-9])([A-Z])` by `$1 $2`; looking around instead of consuming gives the same places
 * in linear time, where a long run of capitals would cost the first of them the square of its length.
 */
const wordBoundary = /(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z0-9])(?=[A-Z])/g;

/** `text` with camelCase words split by spaces. Nothing else changes. */
export function splitCamelCase(text: string): string {
  return text.replace(wordBoundary, " ");
}
