import { MalformedRequestError } from "#base/errors/index.ts";

/** The query string of `url` as text fields; a repeated name gives a list. Raises MalformedRequestError for broken percent-encoding. */
export function readQuery(url: string): Record<string, string | string[]> {
  const at = url.indexOf("?");
  const fields = new Map<string, string | string[]>();
  const pairs = at < 0 ? [] : url.slice(at + 1).split("&");
  for (const pair of pairs) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? "" : decode(pair.slice(equals + 1));
    const known = fields.get(name);
    if (known === undefined) fields.set(name, value);
    else fields.set(name, [...(Array.isArray(known) ? known : [known]), value]);
  }
  return Object.fromEntries(fields);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch (thrown) {
    throw new MalformedRequestError(
      "The query string holds a percent sign that encodes nothing, or bytes that are not UTF-8.",
      { cause: thrown },
    );
  }
}
