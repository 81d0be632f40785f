import { wholeCharacter, type CountTokens, type TextMeasure } from "./measure-text.ts";

/** A heading or symbol that a piece stands under; `at` is the offset where it is written, so that it is not embedded twice. */
export type Mark = {
  readonly title: string;
  readonly at: number;
  /** Embedded but not part of the shown heading chain: the column names of a table. */
  readonly context?: true;
};

/** The smallest part of a document that is kept whole where it fits; pieces come in order and do not overlap. */
export type Piece = {
  readonly from: number;
  readonly to: number;
  readonly chain: readonly Mark[];
  /** Only neighbours of one group (a section, the members of one class) share a chunk. */
  readonly group: number;
};

export type PackRules = {
  readonly maxTokens: number;
  /** Tokens repeated between two windows of a piece that had to be cut. */
  readonly overlapTokens: number;
  readonly countTokens: CountTokens;
  readonly measure: TextMeasure;
  /** A chunk of this many characters takes no further piece. */
  readonly mergeCharacters: number;
  /** No chunk is longer: a tokenizer may count a giant word as one token. */
  readonly maxCharacters: number;
};

type Prefix = { readonly text: string; readonly tokens: number };

/** The rules with the prefixes counted so far, by chain and number of its marks that are embedded. */
type Packing = PackRules & { readonly prefixes: WeakMap<readonly Mark[], Map<number, Prefix>> };

/** One packed range of the text with what is embedded for it. */
type PackedChunk = {
  readonly from: number;
  readonly to: number;
  readonly heading: string[];
  readonly embeddedText: string;
  readonly tokens: number;
};

/** Pieces shorter than this join a neighbour even where the chunk has reached its length. */
const floorCharacters = 50;

/** Marks, joiners and control characters alone give no token: what holds nothing else stays with its neighbour. */
const hasToken = /[\p{L}\p{N}\p{P}\p{S}]/u;

/** Longest title kept of a heading: it is repeated in each chunk below it. */
export const longestTitle = 200;

/** Pieces packed into chunks: neighbours of one group together as far as they fit, a piece that is too long cut at line, sentence or word borders. */
export function* packChunks(
  text: string,
  pieces: Iterable<Piece>,
  packRules: PackRules,
): Generator<PackedChunk> {
  const rules: Packing = { ...packRules, prefixes: new WeakMap() };
  let run: Piece[] = [];
  let mute = null as Piece | null; // before the first piece that has a token
  for (const piece of pieces) {
    const shown = text.slice(piece.from, piece.to);
    const last = run.at(-1);
    if (!/\S/.test(shown)) continue;
    if (!hasToken.test(shown)) {
      if (last === undefined) mute = { ...piece, from: mute?.from ?? piece.from };
      else run[run.length - 1] = { ...last, to: piece.to };
      continue;
    }
    while (run.length > 0 && !joins(run, piece, rules)) run = yield* closeRun(text, run, rules);
    run.push(mute === null ? piece : { ...piece, from: mute.from });
    mute = null;
  }
  if (mute !== null) run.push(mute);
  while (run.length > 0) run = yield* closeRun(text, run, rules);
}

function joins(run: readonly Piece[], next: Piece, rules: Packing): boolean {
  const first = run[0];
  const last = run.at(-1);
  if (first === undefined || last === undefined || first.group !== next.group) return false;
  const length = next.to - first.from;
  const wanted =
    length <= rules.mergeCharacters ||
    next.to - next.from < floorCharacters ||
    last.to - first.from < floorCharacters;
  if (!wanted || length > rules.maxCharacters) return false;
  const prefix = prefixOf(first.chain, first.from, rules);
  return rules.measure.tokens(first.from, next.to) + prefix.tokens <= rules.maxTokens;
}

/** The chunk of a run, or of as much of it as fits by the exact count; gives back the rest. A piece that is too long alone is cut. */
function* closeRun(
  text: string,
  run: readonly Piece[],
  rules: Packing,
): Generator<PackedChunk, Piece[]> {
  let take = run.length;
  for (;;) {
    const pieces = run.slice(0, take);
    const chunk = chunkOfPieces(text, pieces, rules);
    if (chunk !== null && chunk.tokens <= rules.maxTokens) {
      yield chunk;
      return run.slice(take);
    }
    const [first] = pieces;
    if (first !== undefined && take === 1) yield* cutPiece(text, first, rules);
    if (take === 1) return run.slice(1);
    const share = chunk === null ? 0.5 : rules.maxTokens / chunk.tokens;
    take = Math.max(1, Math.min(take - 1, Math.floor(take * share)));
  }
}

/** The chunk of these pieces, or null where it is far too long to be counted. */
function chunkOfPieces(text: string, pieces: readonly Piece[], rules: Packing): PackedChunk | null {
  const from = pieces[0]?.from ?? 0;
  const to = pieces.at(-1)?.to ?? 0;
  if (to - from > rules.maxCharacters) return null;
  if (rules.measure.tokens(from, to) > rules.maxTokens * 2) return null;
  let chain: readonly Mark[] | null = null;
  for (const piece of pieces) {
    if (!/[\p{L}\p{N}]/u.test(text.slice(piece.from, piece.to))) continue; // brackets stand under nothing
    chain = chain === null ? piece.chain : commonChain(chain, piece.chain);
  }
  return chunkOf(text, from, to, chain ?? pieces[0]?.chain ?? [], rules);
}

function commonChain(one: readonly Mark[], other: readonly Mark[]): readonly Mark[] {
  let length = 0;
  while (length < one.length && length < other.length && one[length]?.at === other[length]?.at) {
    length += 1;
  }
  return length === one.length ? one : one.slice(0, length);
}

/** Windows of about equal size over a piece that is too long, each beginning `overlapTokens` before the end of the one before. */
function* cutPiece(text: string, piece: Piece, rules: Packing): Generator<PackedChunk> {
  const overlap = Math.min(rules.overlapTokens, Math.floor(rules.maxTokens / 3));
  let from = piece.from;
  let covered = piece.from;
  while (covered < piece.to) {
    const room = rules.maxTokens - prefixOf(piece.chain, from, rules).tokens;
    const remaining = rules.measure.tokens(from, piece.to);
    const windows = Math.max(1, Math.ceil((remaining - overlap) / (room - overlap)));
    const even = Math.ceil((remaining + (windows - 1) * overlap) / windows);
    const reach = windows === 1 ? piece.to : rules.measure.reach(from, Math.min(room, even * 1.1));
    let limit = Math.min(piece.to, from + rules.maxCharacters, Math.max(reach, from + 1));
    let end = borderBefore(text, from, limit, piece.to);
    let chunk = chunkOf(text, from, end, piece.chain, rules);
    while (chunk.tokens > rules.maxTokens && end > nextCharacter(text, from)) {
      limit = from + Math.floor((end - from) * Math.min(0.9, rules.maxTokens / chunk.tokens));
      end = borderBefore(text, from, limit, piece.to);
      chunk = chunkOf(text, from, end, piece.chain, rules);
    }
    if (end <= covered && from < covered) {
      from = covered; // the overlap alone filled the window: go on without it
      continue;
    }
    if (/\S/.test(text.slice(from, end))) yield chunk;
    covered = skipBlank(text, end, piece.to);
    from = covered < piece.to ? overlapStart(text, from, end, overlap, rules) : covered;
  }
}

/** Where a window that must end at or before `limit` ends best: at a line end, else a sentence end, a word border, a separator, at least between whole characters. */
function borderBefore(text: string, from: number, limit: number, end: number): number {
  if (limit >= end) return end;
  const window = text.slice(from, limit);
  const half = window.length * 0.6;
  const lineEnd = window.lastIndexOf("\n") + 1;
  if (lineEnd > half) return from + lineEnd;
  const tail = window.slice(Math.floor(half));
  for (const border of [/[.!?\u3002\uff01\uff1f]["')\]]?\s/g, /\s/g, /[,;:)}\]>|]/g]) {
    const last = [...tail.matchAll(border)].at(-1);
    if (last !== undefined) return from + Math.floor(half) + last.index + last[0].length;
  }
  return Math.max(betweenCharacters(text, from, limit), nextCharacter(text, from));
}

/** `position` moved back so that no surrogate pair, accent or joined emoji is cut, at most 16 units. */
function betweenCharacters(text: string, from: number, position: number): number {
  let at = wholeCharacter(text, position);
  for (let steps = 0; steps < 16 && at > from; steps += 1) {
    const next = String.fromCodePoint(text.codePointAt(at) ?? 0x20);
    if (!/\p{M}|\u200d/u.test(next) && text[at - 1] !== "\u200d") break;
    at = wholeCharacter(text, at - 1);
  }
  return at;
}

function nextCharacter(text: string, from: number): number {
  return from + ((text.codePointAt(from) ?? 0) > 0xffff ? 2 : 1);
}

function skipBlank(text: string, from: number, to: number): number {
  let at = from;
  while (at < to && /\s/.test(text[at] ?? "x")) at += 1;
  return at;
}

/** The word border about `overlap` tokens before `end`, in the second half of the window; `end` itself where there is none. */
function overlapStart(
  text: string,
  from: number,
  end: number,
  overlap: number,
  rules: Packing,
): number {
  if (overlap === 0) return end;
  const tokens = rules.measure.tokens(from, end);
  const middle = from + Math.ceil((end - from) / 2);
  const target = Math.max(middle, rules.measure.reach(from, tokens - overlap));
  const window = text.slice(target - 1, end);
  const border = /\s+(?=\S)/.exec(window);
  return border === null ? end : target - 1 + border.index + border[0].length;
}

/** The chunk of a range without blank edges; indentation of its first line is kept. */
function chunkOf(
  text: string,
  from: number,
  to: number,
  chain: readonly Mark[],
  rules: Packing,
): PackedChunk {
  const shown = text.slice(from, to);
  const inset = shown.search(/\S/);
  const lineStart = shown.slice(0, inset).lastIndexOf("\n") + 1;
  const start = from + lineStart;
  const body = shown.slice(lineStart).trimEnd();
  const embeddedText = prefixOf(chain, start, rules).text + body;
  return {
    from: start,
    to: start + body.length,
    heading: chain.filter((mark) => mark.context === undefined).map((mark) => mark.title),
    embeddedText,
    tokens: rules.countTokens(embeddedText),
  };
}

/** What is embedded before the text of a chunk that begins at `from`: the headings that it does not contain itself, in at most a quarter of the tokens. */
function prefixOf(chain: readonly Mark[], from: number, rules: Packing): Prefix {
  const before = chain.filter((mark) => mark.at < from);
  const known = rules.prefixes.get(chain) ?? new Map<number, Prefix>();
  rules.prefixes.set(chain, known);
  const prefix = known.get(before.length) ?? shortEnough(before, rules);
  known.set(before.length, prefix);
  return prefix;
}

function shortEnough(marks: readonly Mark[], rules: Packing): Prefix {
  const titles = marks.filter((mark) => mark.context === undefined).map((mark) => mark.title);
  const columns = marks.filter((mark) => mark.context !== undefined).map((mark) => mark.title);
  const allowed = Math.floor(rules.maxTokens / 4);
  for (;;) {
    const lines = [...(titles.length > 0 ? [titles.join(" > ")] : []), ...columns];
    const text = lines.map((each) => `${each}\n`).join("");
    const tokens = text === "" ? 0 : rules.countTokens(text);
    if (tokens <= allowed || text === "") return { text, tokens };
    if (titles.length > 1) titles.shift();
    else shortenLast(titles.length > 0 ? titles : columns, allowed / tokens);
  }
}

/** The only title, cut to about `share` of its length at a word border, or dropped where nothing is left of it. */
function shortenLast(titles: string[], share: number): void {
  const title = titles.pop() ?? "";
  const cut = title.slice(
    0,
    wholeCharacter(title, Math.floor(title.length * Math.min(0.9, share))),
  );
  const words = cut.lastIndexOf(" ") > 0 ? cut.slice(0, cut.lastIndexOf(" ")) : cut;
  if (words.trim() !== "") titles.push(words);
}
