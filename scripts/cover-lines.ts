type Position = { readonly line: number; readonly column: number };

/** Where a statement stands: lines from 1, columns from 0. */
export type Statement = { readonly start: Position; readonly end: Position };

/** How often V8 saw a part of a source run, from one offset up to another; a part within a part is told on its own. */
export type CoveredRange = {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
};

export type CoveredFile = {
  readonly text: string;
  /** With how often the processes of the tests ran each. */
  readonly statements: readonly (Statement & { readonly count: number })[];
  /** One list for each child that loaded the file. Node takes types away without moving anything, so offsets hold for `text`. */
  readonly ranges: CoveredRange[][];
};

/** The lines on which a statement begins, and whether any process ran one of them. */
export function coverLines({ text, statements, ranges }: CoveredFile): Map<number, boolean> {
  const starts = lineStarts(text);
  const byChildren = ranges.map((each) => paint(text.length, each));
  const lines = new Map<number, boolean>();
  for (const { start, count } of statements) {
    const offset = (starts[start.line - 1] ?? 0) + start.column;
    const isRun = count > 0 || byChildren.some((painted) => painted[offset] === 1);
    lines.set(start.line, isRun || lines.get(start.line) === true);
  }
  return lines;
}

/** The offset of each line's first character. */
function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

/** 1 for every character that ran: the innermost part that holds a character speaks for it. */
function paint(length: number, ranges: readonly CoveredRange[]): Uint8Array {
  const painted = new Uint8Array(length);
  const outermostFirst = ranges.toSorted(
    (one, other) => other.endOffset - other.startOffset - (one.endOffset - one.startOffset),
  );
  for (const { startOffset, endOffset, count } of outermostFirst)
    painted.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  return painted;
}
