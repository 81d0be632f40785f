/** Longest line that is written, in UTF-16 characters; the fields of a longer one are left out and their size is said. */
const longestLine = 65_536;

/**
 * Characters that JSON leaves as they are though they move a terminal's cursor, end a line or turn its direction: DEL and C1 controls,
 * line and paragraph separators, marks and overrides of direction, the byte order mark.
 */
// oxlint-disable-next-line no-control-regex
const hidden = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

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
  // As a JSON string without its quotes: line breaks and controls stay escaped, so nothing can pose as another line.
  const text = JSON.stringify(message ?? "")
    .slice(1, -1)
    .replaceAll('\\"', '"');
  const line = `${String(time)} ${String(level).toUpperCase().padEnd(5)} ${text}${shown.join("")}`;
  return `${escapeHidden(line)}\n`;
}

function escapeHidden(text: string): string {
  return text.replace(
    hidden,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
