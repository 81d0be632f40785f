/** Longest line that is written, in UTF-16 characters; the fields of a longer one are left out and their size is said. */
const longestLine = 65_536;

/**
 * Characters that JSON leaves as they are though they move a terminal's cursor, end a line, turn its direction or cannot be seen:
 * controls (Cc), format characters (Cf: marks and overrides of direction, joiners, tags, the byte order mark), separators of lines and
 * paragraphs (Zl, Zp).
 */
const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A JSON line as it is written: in one line whatever its values hold, and not too long. */
export function toJsonLine(json: string): string {
  if (json.length <= longestLine) return `${escapeHidden(json.trimEnd())}\n`;
  const { level, time, message } = JSON.parse(json) as Record<string, unknown>;
  const short = JSON.stringify({
    level,
    time,
    message,
    fieldsLeftOut: `${json.length} characters`,
  });
  return `${escapeHidden(short)}\n`;
}

/** The same line for people: time, level, message, then `name=value`. */
export function toTextLine(json: string): string {
  const { level, time, message, ...fields } = JSON.parse(toJsonLine(json)) as Record<
    string,
    unknown
  >;
  const shown = Object.entries(fields).map(
    ([name, value]) =>
      ` ${/^[\w.-]+$/.test(name) ? name : JSON.stringify(name)}=${JSON.stringify(value)}`,
  );
  const line = `${String(time)} ${String(level).toUpperCase().padEnd(5)} ${toText(message)}${shown.join("")}`;
  return `${escapeHidden(line)}\n`;
}

/**
 * A message in a text line. JSON's escapes keep it in its line; where it holds `=` it is put in quotes as well, so that `x user=y` said
 * by somebody cannot pose as a field: what stands outside of quotes with `=` behind it is the name of a real one.
 */
function toText(message: unknown): string {
  const quoted = JSON.stringify(message ?? "");
  return /=|^"\\"/.test(quoted) ? quoted : quoted.slice(1, -1).replaceAll('\\"', '"');
}

function escapeHidden(text: string): string {
  return text.replace(hidden, (character) =>
    Array.from({ length: character.length }, (_, place) => character.charCodeAt(place))
      .map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`)
      .join(""),
  );
}
