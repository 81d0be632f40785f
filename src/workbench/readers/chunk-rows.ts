import { parse } from "csv-parse/sync";
import { FormatInvalidError } from "#base/errors/index.ts";
import { longestTitle, type Mark, type Piece } from "./pack-chunks.ts";

/** A range of the text, UTF-16 offsets, end exclusive. */
export type Span = { readonly from: number; readonly to: number };

/** Longest column line repeated before rows, in characters. */
const longestColumns = 1000;

/** Containers of a JSON text are opened at most this deep; what lies deeper is cut by length. */
const deepestJson = 12;

/**
 * The rows of a CSV text, each whole (a quoted line end does not divide it); the first is the header. Ragged rows are rows.
 * @throws FormatInvalidError where a quote is never closed.
 */
export function csvRows(text: string, delimiter: string): Span[] {
  const rows: Span[] = [];
  const place = utf8Offsets(text);
  try {
    parse(text, {
      delimiter,
      info: true,
      record_delimiter: ["\r\n", "\n", "\r"],
      relax_column_count: true,
      relax_quotes: true,
      skip_empty_lines: true,
      on_record: (_record, { bytes }) => {
        rows.push({ from: rows.at(-1)?.to ?? 0, to: place(bytes) });
        return null;
      },
    });
  } catch (thrown) {
    const line = csvLine(text, rows.at(-1)?.to ?? 0);
    throw new FormatInvalidError(
      `Not CSV: a quote is opened in the row at line ${line} and never closed properly. Close it, or send the file as text/plain.`,
      { cause: thrown },
    );
  }
  return rows;
}

function csvLine(text: string, offset: number): number {
  return (text.slice(0, offset).match(/\r\n|\n|\r/g)?.length ?? 0) + 1;
}

/** The delimiter of a CSV text: the commonest of comma, semicolon, tab and bar in its first line, outside quotes. */
export function csvDelimiter(text: string): string {
  const firstLine = (/^.*/.exec(text.trimStart())?.[0] ?? "").slice(0, 10_000);
  const bare = firstLine.replace(/"[^"]*"/g, "");
  let best = ",";
  for (const candidate of [";", "\t", "|"]) {
    if (bare.split(candidate).length > bare.split(best).length) best = candidate;
  }
  return best;
}

/** Maps rising UTF-8 byte offsets to UTF-16 offsets. */
function utf8Offsets(text: string): (bytes: number) => number {
  let offset = 0;
  let passed = 0;
  return (bytes) => {
    while (passed < bytes && offset < text.length) {
      const point = text.codePointAt(offset) ?? 0;
      passed += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
      offset += point > 0xffff ? 2 : 1;
    }
    return offset;
  };
}

/** Rows as pieces under the column names, which are embedded with each chunk that does not hold the header itself. */
export function* rowPieces(text: string, rows: readonly Span[]): Generator<Piece> {
  const header = rows[0];
  if (header === undefined) return;
  const columns = text.slice(header.from, header.to).trim().slice(0, longestColumns);
  const at = header.from;
  const chain: readonly Mark[] = [{ title: columns, at, context: true }];
  for (const row of rows) yield { ...row, chain, group: 0 };
}

/** The lines of a JSONL text that hold a value, as spans. */
export function jsonLines(text: string): Span[] {
  const lines: Span[] = [];
  let from = 0;
  while (from < text.length) {
    const end = text.indexOf("\n", from);
    const to = end < 0 ? text.length : end + 1;
    if (/\S/.test(text.slice(from, to))) lines.push({ from, to });
    from = to;
  }
  return lines;
}

type Open = Span & { readonly chain: readonly Mark[]; readonly group: number };

/**
 * Valid JSON values as pieces: members and items that fit stay whole, larger ones are opened, level by level; the keys
 * above a piece are its chain.
 */
export function* jsonPieces(
  text: string,
  values: readonly Span[],
  fits: (from: number, to: number) => boolean,
): Generator<Piece> {
  let groups = 0;
  let covered = values[0]?.from ?? 0;
  const stack: Open[] = values.map((each) => ({ ...each, chain: [], group: 0 })).reverse();
  for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
    const members =
      fits(covered, value.to) || value.chain.length >= deepestJson ? [] : membersOf(text, value);
    if (members.length === 0) {
      if (value.to > covered) {
        yield { from: covered, to: value.to, chain: titled(value.chain), group: value.group };
      }
      covered = Math.max(covered, value.to);
      continue;
    }
    groups += 1;
    const opened = { group: groups, chain: value.chain };
    stack.push({ from: members.at(-1)?.to ?? value.from, to: value.to, ...opened }); // the closing bracket
    for (const { from, to, mark } of members.reverse()) {
      stack.push({ from, to, group: groups, chain: [...value.chain, mark] });
    }
  }
}

/** Array items have no title of their own. */
function titled(chain: readonly Mark[]): readonly Mark[] {
  return chain.filter((mark) => mark.title !== "");
}

type Member = Span & { readonly mark: Mark };

/** Members or items of the object or array in the range, each with the comma after it; none for other values. */
function membersOf(text: string, value: Span): Member[] {
  const members: Member[] = [];
  const scan = /["{}[\],]/g;
  scan.lastIndex = value.from;
  let depth = 0;
  let from = -1;
  let inObject = false;
  let key: Mark | null = null;
  for (let hit = scan.exec(text); hit !== null && hit.index < value.to; hit = scan.exec(text)) {
    const sign = hit[0];
    if (sign === '"') {
      const end = stringEnd(text, hit.index);
      const title = text.slice(hit.index + 1, Math.min(end, hit.index + longestTitle));
      if (depth === 1 && inObject) key ??= { title, at: hit.index };
      scan.lastIndex = end + 1;
    } else if (sign === "{" || sign === "[") {
      depth += 1;
      if (depth > 1) continue;
      from = hit.index + 1;
      inObject = sign === "{";
    } else {
      if (sign !== ",") depth -= 1;
      if (depth > (sign === "," ? 1 : 0)) continue;
      const to = sign === "," ? hit.index + 1 : hit.index;
      members.push({ from, to, mark: key ?? { title: "", at: from } });
      from = to;
      key = null;
      if (sign !== ",") break;
    }
  }
  return members;
}

/** Offset of the quote that closes the JSON string beginning at `from`. */
function stringEnd(text: string, from: number): number {
  let end = text.indexOf('"', from + 1);
  while (end >= 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end < 0 ? text.length : end;
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0;
  while (text[at - 1 - slashes] === "\\") slashes += 1;
  return slashes % 2 === 1;
}
