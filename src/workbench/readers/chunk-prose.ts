import { longestTitle, type Mark, type Piece } from "./pack-chunks.ts";

/** A heading of a text: `level` 1 is the outermost, `at` its offset. */
export type Heading = { readonly title: string; readonly level: number; readonly at: number };

/** A paragraph, list item, table row, code block or heading. */
type Block = { readonly from: number; readonly to: number; readonly heading: Heading | null };

type Line = { readonly from: number; readonly to: number; readonly text: string };

/** Markdown as pieces: one or more blocks of one section, headings with the text that follows them. `grain`: characters below which blocks of a section stay together. */
export function markdownPieces(text: string, grain: number): Generator<Piece> {
  return piecesOfBlocks(markdownBlocks(text), grain);
}

/** Text as pieces: paragraphs, divided by blank lines; `headings` (in order) begin a section each. */
export function paragraphPieces(
  text: string,
  headings: readonly Heading[],
  grain: number,
): Generator<Piece> {
  return piecesOfBlocks(paragraphBlocks(text, headings), grain);
}

/** The title of a Markdown text: front matter's `title`, else its first heading of level 1, else null. */
export function markdownTitle(text: string): string | null {
  const front = frontMatterOf(text);
  if (front !== null) {
    const title = /^title[ \t]*[:=](.*)$/m.exec(text.slice(0, front))?.[1]?.trim() ?? "";
    const bare = /^(["'])(.*)\1$/.exec(title)?.[2] ?? title;
    if (bare !== "") return bare.slice(0, longestTitle);
  }
  for (const block of markdownBlocks(text)) {
    if (block.heading?.level === 1 && block.heading.title !== "") return block.heading.title;
  }
  return null;
}

function* piecesOfBlocks(blocks: Iterable<Block>, grain: number): Generator<Piece> {
  let open: Heading[] = [];
  let chain: readonly Mark[] = [];
  let group = 0;
  let headingsFrom: number | null = null;
  let piece: Piece | null = null;
  for (const block of blocks) {
    if (block.heading !== null) {
      if (piece !== null && headingsFrom === null) yield piece;
      const { level } = block.heading;
      open = [...open.filter((each) => each.level < level), block.heading];
      chain = open.filter((each) => each.title !== "");
      group += 1;
      headingsFrom ??= block.from;
      piece = { from: headingsFrom, to: block.to, chain, group };
      continue;
    }
    if (piece !== null && (headingsFrom !== null || piece.to - piece.from < grain)) {
      piece = { ...piece, to: block.to };
    } else {
      if (piece !== null) yield piece;
      piece = { from: block.from, to: block.to, chain, group };
    }
    headingsFrom = null;
  }
  if (piece !== null) yield piece;
}

function* paragraphBlocks(text: string, headings: readonly Heading[]): Generator<Block> {
  let next = 0;
  let from = -1;
  let to = -1;
  for (const line of linesOf(text, 0)) {
    const heading = headings[next];
    const begins = heading !== undefined && heading.at < line.to;
    if (from >= 0 && (begins || line.text.trim() === "")) {
      yield { from, to, heading: null };
      from = -1;
    }
    if (begins) {
      yield { from: line.from, to: line.to, heading };
      while ((headings[next]?.at ?? Infinity) < line.to) next += 1;
    } else if (line.text.trim() !== "") {
      if (from < 0) from = line.from;
      to = line.to;
    }
  }
  if (from >= 0) yield { from, to, heading: null };
}

/** Offset behind the front matter (`---` or `+++` on the first line up to the same again), or null where there is none. */
function frontMatterOf(text: string): number | null {
  const fence = /^(---|\+\+\+)[ \t]*\r?\n(?=#|[A-Za-z_][\w-]*[ \t]*[:=]|---|\+\+\+)/.exec(text);
  if (fence === null) return null;
  for (const line of linesOf(text, fence[0].length)) {
    const bare = line.text.trimEnd();
    if (bare === fence[1] || (fence[1] === "---" && bare === "...")) return line.to;
  }
  return null;
}

const listItem = /^[ \t]{0,12}(?:[-*+]|\d{1,9}[.)])[ \t]/;
const tableRow = /^[ \t]{0,3}\|/;
const fenceStart = /^[ \t]{0,12}(?:`{3,}|~{3,})/;
const setextLine = /^ {0,3}(?:=+|-+)[ \t]*$/;

/** Most lines that a heading underlined with `===` or `---` may have. */
const longestSetext = 3;

/** The blocks of a Markdown text (CommonMark's block structure as far as chunks need it). */
function* markdownBlocks(text: string): Generator<Block> {
  const front = frontMatterOf(text) ?? 0;
  if (front > 0) yield { from: 0, to: front, heading: null };
  let paragraph: Line[] = [];
  let fence: { mark: string; from: number } | null = null;
  let fenceEnd = front;
  for (const line of linesOf(text, front)) {
    if (fence !== null) {
      fenceEnd = line.to;
      if (!closesFence(line.text, fence.mark)) continue;
      yield { from: fence.from, to: line.to, heading: null };
      fence = null;
      continue;
    }
    const opened = opensFence(line.text);
    const atx = opened === null ? atxHeading(line) : null;
    const setext = setextHeading(paragraph, line);
    if (setext !== null) {
      yield { from: setext.at, to: line.to, heading: setext };
      paragraph = [];
      continue;
    }
    const blank = line.text.trim() === "";
    const divides =
      blank ||
      opened !== null ||
      atx !== null ||
      listItem.test(line.text) ||
      tableRow.test(line.text);
    if (divides && paragraph.length > 0) {
      yield blockOf(paragraph);
      paragraph = [];
    }
    if (opened !== null) {
      fence = { mark: opened, from: line.from };
      fenceEnd = line.to;
    } else if (atx !== null) yield { from: line.from, to: line.to, heading: atx };
    else if (!blank) paragraph.push(line);
  }
  if (fence !== null) yield { from: fence.from, to: fenceEnd, heading: null };
  if (paragraph.length > 0) yield blockOf(paragraph);
}

function blockOf(lines: readonly Line[]): Block {
  return { from: lines[0]?.from ?? 0, to: lines.at(-1)?.to ?? 0, heading: null };
}

function opensFence(line: string): string | null {
  const mark = fenceStart.exec(line)?.[0].trim() ?? null;
  if (mark === null) return null;
  const info = line.trimStart().slice(mark.length);
  return mark.startsWith("`") && info.includes("`") ? null : mark; // ```inline``` opens nothing
}

function closesFence(line: string, mark: string): boolean {
  const bare = line.trim();
  return bare.length >= mark.length && bare === (mark[0] ?? "").repeat(bare.length);
}

function atxHeading(line: Line): Heading | null {
  const hashes = /^ {0,3}(#{1,6})(?=[ \t]|$)/.exec(line.text);
  if (hashes === null) return null;
  const rest = line.text.slice(hashes[0].length).trim();
  const title = /^#+$/.test(rest) ? "" : rest.replace(/[ \t]#+$/, "").trim();
  return { title: title.slice(0, longestTitle), level: hashes[1]?.length ?? 1, at: line.from };
}

function setextHeading(paragraph: readonly Line[], line: Line): Heading | null {
  const first = paragraph[0];
  if (first === undefined || paragraph.length > longestSetext || !setextLine.test(line.text)) {
    return null;
  }
  if (listItem.test(first.text) || /^[ \t]*[|>]/.test(first.text)) return null;
  const title = paragraph.map((each) => each.text.trim()).join(" ");
  const level = line.text.trimStart().startsWith("=") ? 1 : 2;
  return { title: title.slice(0, longestTitle), level, at: first.from };
}

/** The lines from `start` on; `to` is behind the text, before the line end. Ends are \n, \r\n and a lone \r. */
function* linesOf(text: string, start: number): Generator<Line> {
  const ends = /\r\n|\n|\r/g;
  ends.lastIndex = start;
  let from = start;
  for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
    yield { from, to: end.index, text: text.slice(from, end.index) };
    from = ends.lastIndex;
  }
  if (from < text.length) yield { from, to: text.length, text: text.slice(from) };
}
