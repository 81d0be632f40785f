/** Counts the tokens of a text with the tokenizer of one space. */
export type CountTokens = (text: string) => number;

/** Quick token estimates inside one text: every small unit was counted once, ranges are sums of them. */
export type TextMeasure = {
  /** Estimated tokens of the range; exact for tokenizers that never join text across a line end or a blank. */
  tokens(from: number, to: number): number;
  /** The position up to which about `tokens` tokens lie behind `from`. */
  reach(from: number, tokens: number): number;
};

/** A unit ends at the first line end after this many UTF-16 characters … */
const shortestUnit = 64;

/** … or, inside longer lines, at a blank before this many. */
const longestUnit = 256;

/** Counts `text` once, unit by unit, so that packing chunks needs no repeated counting (tokenizing is the dominant cost). */
export function measureText(text: string, countTokens: CountTokens): TextMeasure {
  const overhead = countTokens(""); // tokens that the model adds around every input
  const ends: number[] = [0];
  const sums: number[] = [0];
  let total = 0;
  for (let from = 0; from < text.length;) {
    const to = endOfUnit(text, from);
    const unit = text.slice(from, to);
    total += /\S/.test(unit) ? Math.max(0, countTokens(unit) - overhead) : 0;
    ends.push(to);
    sums.push(total);
    from = to;
  }
  const before = (position: number): number => interpolate(ends, sums, position);
  return {
    tokens: (from, to) => before(to) - before(from),
    reach: (from, tokens) => {
      const position = interpolate(sums, ends, before(from) + tokens);
      return Math.min(text.length, Math.max(from, Math.floor(position)));
    },
  };
}

function endOfUnit(text: string, from: number): number {
  const window = text.slice(from, from + longestUnit);
  const lineEnd = window.indexOf("\n", shortestUnit);
  if (lineEnd >= 0) return from + lineEnd + 1;
  if (from + window.length >= text.length) return text.length;
  const blank = window.lastIndexOf(" ");
  return wholeCharacter(text, from + (blank > shortestUnit ? blank : window.length));
}

/** `position`, moved back by one where it would cut a surrogate pair. */
export function wholeCharacter(text: string, position: number): number {
  const unit = text.charCodeAt(position);
  const previous = text.charCodeAt(position - 1);
  const cutsPair = unit >= 0xdc00 && unit <= 0xdfff && previous >= 0xd800 && previous <= 0xdbff;
  return cutsPair ? position - 1 : position;
}

/** `ys` at `x`, linear between the rising `xs`; among equal `xs` the last counts, beyond the ends the end values. */
function interpolate(xs: readonly number[], ys: readonly number[], x: number): number {
  let low = 0;
  let high = xs.length - 1;
  if (x >= (xs[high] ?? 0)) return ys[high] ?? 0;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((xs[middle] ?? 0) <= x) low = middle;
    else high = middle;
  }
  const x0 = xs[low] ?? 0;
  const x1 = xs[high] ?? 0;
  const y0 = ys[low] ?? 0;
  const y1 = ys[high] ?? 0;
  return x1 === x0 ? y1 : y0 + ((x - x0) / (x1 - x0)) * (y1 - y0);
}
