import { DefectError } from "#base/errors/index.ts";
import { splitSections, type TokenizerSteps } from "./tokenizer-steps.ts";

/** Tokens of a text with their places in it, UTF-16 units: token i is `text.slice(from[i], to[i])`. */
export type TokenOffsets = {
  readonly ids: number[];
  readonly from: Uint32Array;
  readonly to: Uint32Array;
};

/** A string in which every UTF-16 unit knows the part of the original text that it stands for. */
type Traced = { text: string; from: number[]; to: number[] };

/** A mark that the normaliser removes belongs to the letter before it. */
const nonspacingMark = /\p{Mn}/u;

/**
 * Finds each token in the original text. The library gives tokens without places, so the text is taken through the same
 * steps again with the origin of every character kept: preparing inserts spaces only, normalising maps one code point to
 * none, one or several characters, words stand in the normalised text in order, and a word's tokens are its parts.
 * One code point that became several tokens (a Hangul syllable) gives all of them its place. A token's marks and
 * accents are part of its place.
 */
export function findOffsets(steps: TokenizerSteps, original: string): TokenOffsets {
  const prepared = tracePrepared(steps, original);
  const ids: number[] = [];
  const from: number[] = [];
  const to: number[] = [];
  const add = (id: number, traced: Traced, begin: number, end: number): void => {
    ids.push(id);
    from.push(traced.from[begin] ?? 0);
    to.push(traced.to[end - 1] ?? 0);
  };
  let position = 0;
  for (const section of splitSections(steps, prepared.text)) {
    const end = position + section.length;
    const added = steps.addedTokens.get(section);
    if (added !== undefined) add(added, prepared, position, end);
    else {
      const traced = traceNormalized(steps, prepared, position, end);
      placeWords(steps, traced, (token, begin, stop) =>
        add(steps.idOfToken(token), traced, begin, stop),
      );
    }
    position = end;
  }
  return { ids, from: Uint32Array.from(from), to: Uint32Array.from(to) };
}

/** The prepared text. It differs from the original by inserted spaces and by replaced characters of the same length. */
function tracePrepared(steps: TokenizerSteps, original: string): Traced {
  const text = steps.prepare(original);
  const traced: Traced = { text, from: [], to: [] };
  let place = 0;
  for (let index = 0; index < text.length; index += 1) {
    const inserted = text[index] === " " && original[place] !== " ";
    traced.from.push(place);
    if (!inserted) place += 1;
    traced.to.push(place);
  }
  if (place !== original.length)
    throw new DefectError(`the prepared text cannot be traced: ${place} of ${original.length}`);
  return traced;
}

/** The normalised section. Its code points are normalised one by one; together they must give what the whole gives. */
function traceNormalized(
  steps: TokenizerSteps,
  prepared: Traced,
  begin: number,
  end: number,
): Traced {
  const section = prepared.text.slice(begin, end);
  const traced: Traced = { text: steps.normalize(section), from: [], to: [] };
  let place = begin;
  for (const character of section) {
    const next = place + character.length;
    const form = steps.normalize(character);
    const from = prepared.from[place] ?? 0;
    const to = prepared.to[next - 1] ?? 0;
    for (let unit = 0; unit < form.length; unit += 1) {
      traced.from.push(from);
      traced.to.push(to);
    }
    if (form === "" && traced.to.length > 0 && nonspacingMark.test(character))
      extendBack(traced, to);
    place = next;
  }
  if (traced.from.length !== traced.text.length)
    throw new DefectError(
      `the normalised text cannot be traced: ${traced.from.length} of ${traced.text.length} characters`,
    );
  return traced;
}

/** Lets the last code point before here, all of its units, reach up to `to`. */
function extendBack(traced: Traced, to: number): void {
  const start = traced.from.at(-1);
  for (let index = traced.to.length - 1; traced.from[index] === start && index >= 0; index -= 1)
    traced.to[index] = to;
}

function placeWords(
  steps: TokenizerSteps,
  traced: Traced,
  place: (token: string, begin: number, end: number) => void,
): void {
  let cursor = 0;
  for (const word of steps.splitWords(traced.text)) {
    const begin = traced.text.indexOf(word, cursor);
    if (begin < 0) throw new DefectError(`word "${word}" is not where it must be`);
    cursor = begin + word.length;
    const tokens = steps.tokensOfWord(word);
    if (tokens.length === 1) {
      // One token is the whole word, known or not.
      for (const token of tokens) place(token, begin, cursor);
      continue;
    }
    let start = begin;
    for (const [index, token] of tokens.entries()) {
      const length = token.length - (index === 0 ? 0 : steps.continuation.length);
      place(token, start, start + length);
      start += length;
    }
    if (start !== cursor) throw new DefectError(`the parts of word "${word}" do not add up`);
  }
}
