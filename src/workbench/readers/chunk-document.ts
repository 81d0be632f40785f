import { createHash } from "node:crypto";
import { InputInvalidError } from "#base/errors/index.ts";
import { codePieces } from "./chunk-code.ts";
import { markdownPieces, paragraphPieces } from "./chunk-prose.ts";
import { jsonPieces, rowPieces } from "./chunk-rows.ts";
import { measureText, type CountTokens, type TextMeasure } from "./measure-text.ts";
import { packChunks, type PackRules, type Piece } from "./pack-chunks.ts";
import type { ReadResult } from "./read-document.ts";

export type ChunkLimits = {
  /** Most tokens of a chunk with its headings, counted by the space's tokenizer; at least 16. */
  readonly maxTokens: number;
  /** Tokens repeated where a unit had to be cut; at most half of `maxTokens`. */
  readonly overlapTokens: number;
};

/** The unit that is searched: a range of the document and what is embedded for it. */
export type Chunk = {
  readonly ordinal: number;
  /** UTF-16 offsets into the document's text, end exclusive. */
  readonly from: number;
  readonly to: number;
  /** Lines of the original file, from 1, inclusive. */
  readonly fromLine: number;
  readonly toLine: number;
  /** The headings or symbols it stands under, outermost first. */
  readonly heading: string[];
  /** The headings that the range does not contain itself, then the range: what is embedded. */
  readonly embeddedText: string;
  /** Tokens of `embeddedText`. */
  readonly tokens: number;
};

/** Part of each chunk's key: raise it when chunking or what is embedded changes. */
const chunkerVersion = 1;

/** Most chunks of one document: 10 MB of prose make about 7,000; more come from hostile headings alone. */
const mostChunks = 50_000;

/** Characters after which a chunk of code takes no further sibling, and the most that one may hold. */
const codeCharacters = { merge: 1000, most: 2500 };

/** Most characters per token of prose: a tokenizer may count a giant word as one. */
const charactersPerToken = 16;

/** Blocks below this many characters stay with their neighbours of the same section. */
const grainCharacters = 200;

/** The content address of a chunk: the same embedded text has the same key wherever it stands. */
export function chunkKey(embeddedText: string): string {
  return createHash("sha256").update(`${embeddedText}\n${chunkerVersion}`).digest("hex");
}

/**
 * Cuts a document into chunks that together hold every non-blank character of it, in order, none with more than
 * `limits.maxTokens`. `fellBackToLines` says why code was not cut by its syntax, else null.
 * @throws InputInvalidError for limits that no chunk could keep; also above `mostChunks`.
 */
export async function chunkDocument(
  read: ReadResult,
  limits: ChunkLimits,
  countTokens: CountTokens,
): Promise<{ chunks: Chunk[]; fellBackToLines: string | null }> {
  checkLimits(limits);
  const measure = measureText(read.text, countTokens);
  const isCode = read.format === "code";
  const rules: PackRules = {
    ...limits,
    countTokens,
    measure,
    mergeCharacters: isCode ? codeCharacters.merge : Infinity,
    maxCharacters: isCode ? codeCharacters.most : limits.maxTokens * charactersPerToken,
  };
  const { pieces, fellBackToLines } = await piecesOf(read, rules, measure);
  const chunks: Chunk[] = [];
  for (const packed of packChunks(read.text, pieces, rules)) {
    if (chunks.length >= mostChunks) {
      throw new InputInvalidError(
        `The document makes more than ${mostChunks} chunks of at most ${limits.maxTokens} tokens. Split it, or use larger chunks.`,
      );
    }
    chunks.push({
      ordinal: chunks.length,
      ...packed,
      fromLine: read.lineOf(packed.from),
      toLine: read.lineOf(Math.max(packed.from, packed.to - 1)),
    });
  }
  return { chunks, fellBackToLines };
}

function checkLimits({ maxTokens, overlapTokens }: ChunkLimits): void {
  if (!Number.isInteger(maxTokens) || maxTokens < 16) {
    throw new InputInvalidError(
      `maxTokens is ${maxTokens}; it must be a whole number of at least 16.`,
      { errors: [{ pointer: "/maxTokens", message: "a whole number of at least 16" }] },
    );
  }
  if (!Number.isInteger(overlapTokens) || overlapTokens < 0 || overlapTokens > maxTokens / 2) {
    throw new InputInvalidError(
      `overlapTokens is ${overlapTokens}; it must be a whole number from 0 to half of maxTokens (${maxTokens}).`,
      { errors: [{ pointer: "/overlapTokens", message: "0 to half of maxTokens" }] },
    );
  }
}

async function piecesOf(
  read: ReadResult,
  rules: PackRules,
  measure: TextMeasure,
): Promise<{ pieces: Iterable<Piece>; fellBackToLines: string | null }> {
  const { text } = read;
  const grain = Math.min(grainCharacters, rules.maxTokens);
  const room = rules.maxTokens * 0.9; // the rest is for the symbols above
  const fits = (from: number, to: number): boolean =>
    to - from <= rules.maxCharacters && measure.tokens(from, to) <= room;
  switch (read.format) {
    case "markdown":
      return { pieces: markdownPieces(text, grain), fellBackToLines: null };
    case "text":
    case "html":
      return { pieces: paragraphPieces(text, read.headings, grain), fellBackToLines: null };
    case "csv":
      return { pieces: rowPieces(text, read.spans), fellBackToLines: null };
    case "json":
      return { pieces: jsonPieces(text, read.spans, fits), fellBackToLines: null };
    case "code": {
      const { pieces, reason } = await codePieces(text, read.language ?? "unknown", fits);
      if (pieces !== null) return { pieces, fellBackToLines: null };
      return { pieces: paragraphPieces(text, [], grain), fellBackToLines: reason };
    }
  }
}
