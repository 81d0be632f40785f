import {
  DocumentEmptyError,
  DocumentTooLargeError,
  FormatInvalidError,
  FormatUnsupportedError,
} from "#base/errors/index.ts";
import { markdownTitle, type Heading } from "./chunk-prose.ts";
import { csvDelimiter, csvRows, jsonLines, type Span } from "./chunk-rows.ts";
import { byteOrderMark, declaredCharset, decodeText } from "./decode-text.ts";
import { binaryContent, detectFormat, type DetectedFormat, type Format } from "./detect-format.ts";
import { readHtml } from "./read-html.ts";
import { largestDocumentBytes } from "./document-limit.ts";

export type ReadInput = {
  readonly bytes: Uint8Array;
  /** File name or relative path: chooses the format where no media type is given. */
  readonly key: string;
  readonly mediaType?: string;
};

/** A document as text: the file's own for every format but HTML, whose main text is taken out. */
export type ReadResult = {
  readonly text: string;
  readonly title: string | null;
  readonly mediaType: string;
  readonly format: Format;
  readonly language: string | null;
  /** The line of the original file, from 1, on which the character at an offset of `text` stands. */
  readonly lineOf: (offset: number) => number;
  /** The headings of an HTML page; those of Markdown are in its text. */
  readonly headings: readonly Heading[];
  /** The rows of CSV (the header first) or the values of JSON and JSONL; else empty. */
  readonly spans: readonly Span[];
};

/**
 * Reads a file as text of a known format.
 * @throws DocumentTooLargeError, DocumentEmptyError, FormatUnsupportedError, FormatInvalidError, EncodingInvalidError.
 */
export function readDocument({ bytes, key, mediaType }: ReadInput): ReadResult {
  if (bytes.length > largestDocumentBytes) {
    throw new DocumentTooLargeError(
      `${key} has ${bytes.length} bytes; at most ${largestDocumentBytes} are read. Split it.`,
      { details: { key, bytes: bytes.length, limit: largestDocumentBytes } },
    );
  }
  const detected = detectFormat(key, mediaType);
  const charset = detected.charset ?? (detected.format === "html" ? declaredCharset(bytes) : null);
  refuseBinary(bytes, key, detected, charset);
  const source = decodeText(bytes, charset, key);
  refuseBlank(source, key);
  const { format, language, mediaType: type } = detected;
  const facts = { format, language, mediaType: type };
  if (format === "html") {
    const { text, places, title, headings } = readHtml(source, key);
    refuseBlank(text, key);
    const offsets = places.map((place) => place.at);
    const lineOf = (at: number): number => places[lastUpTo(offsets, at)]?.line ?? 1;
    return { ...facts, text, title, headings, spans: [], lineOf };
  }
  const starts = lineStarts(source);
  return {
    ...facts,
    text: source,
    title: format === "markdown" ? markdownTitle(source) : null,
    headings: [],
    spans: spansOf(source, key, format, type),
    lineOf: (at) => lastUpTo(starts, at) + 1,
  };
}

function refuseBinary(
  bytes: Uint8Array,
  key: string,
  { known, mediaType }: DetectedFormat,
  charset: string | null,
): void {
  if (byteOrderMark(bytes) !== null || /^utf-?16/i.test(charset ?? "")) return;
  const found = binaryContent(bytes);
  if (found === null) return;
  if (known) {
    throw new FormatInvalidError(`${key} should be ${mediaType} but looks like ${found}.`, {
      details: { key, mediaType, found },
    });
  }
  throw new FormatUnsupportedError(
    `No reader for ${key}: it looks like ${found}. Text, Markdown, HTML, JSON, CSV and source code are read.`,
    { details: { key, found } },
  );
}

/** Refuses text without a visible character: there is nothing to find in it. */
function refuseBlank(text: string, key: string): void {
  if (/[^\s\p{Cc}\p{Cf}]/u.test(text)) return;
  throw new DocumentEmptyError(`${key} has no text.`, { details: { key } });
}

function spansOf(text: string, key: string, format: Format, mediaType: string): readonly Span[] {
  if (format === "csv") {
    return csvRows(text, mediaType.includes("tab") ? "\t" : csvDelimiter(text));
  }
  if (format !== "json") return [];
  const spans = isJsonLines(mediaType) ? jsonLines(text) : [{ from: 0, to: text.length }];
  for (const span of spans) {
    const fault = jsonFault(text.slice(span.from, span.to));
    if (fault === null) continue;
    const at = span.from + fault.at;
    const line = (text.slice(0, at).match(/\r\n|\n|\r/g)?.length ?? 0) + 1;
    throw new FormatInvalidError(
      `${key} is not valid JSON at character ${at} (line ${line}): ${fault.message}. Correct it, or send it as text/plain.`,
      { details: { key, at, line } },
    );
  }
  return spans;
}

type JsonFault = { readonly message: string; readonly at: number };

/**
 * Arrays and objects in one another. `JSON.parse` takes any number of them and about 150 bytes of memory for each, in one
 * call that no memory limit of a thread can end; honest documents have a few dozen.
 */
const deepestJson = 100_000;

/** What is wrong with a JSON text and where, or null for valid JSON. */
function jsonFault(text: string): JsonFault | null {
  const tooDeep = findTooDeep(text);
  if (tooDeep !== null)
    return { message: `it nests more than ${deepestJson} arrays and objects`, at: tooDeep };
  const message = jsonMessage(text);
  if (message === null) return null;
  if (!message.startsWith("Unexpected token")) {
    const position = / (?:in|after) JSON at position (\d+)/.exec(message);
    return position === null
      ? { message, at: text.length }
      : { message: message.slice(0, position.index), at: Number(position[1]) };
  }
  // This message names no position: the shortest beginning of the text that gives it is searched by halving.
  let low = 0;
  let high = text.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (jsonMessage(text.slice(0, middle))?.startsWith("Unexpected token") === true) high = middle;
    else low = middle;
  }
  return { message: `unexpected ${JSON.stringify(text.slice(low, low + 1))}`, at: low };
}

/** Where an array or object opens inside `deepestJson` others, or null. Brackets in strings do not count. */
function findTooDeep(text: string): number | null {
  let depth = 0;
  let isString = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (isString) {
      if (character === "\\") at += 1;
      else if (character === '"') isString = false;
    } else if (character === '"') isString = true;
    else if (character === "[" || character === "{") depth += 1;
    else if (character === "]" || character === "}") depth -= 1;
    if (depth > deepestJson) return at;
  }
  return null;
}

function jsonMessage(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

function isJsonLines(mediaType: string): boolean {
  return /jsonl|ndjson/.test(mediaType);
}

/** Offsets at which the lines of `text` begin. */
function lineStarts(text: string): number[] {
  const starts = [0];
  for (const end of text.matchAll(/\r\n|\n|\r/g)) starts.push(end.index + end[0].length);
  return starts;
}

/** Index of the last of the rising `offsets` at or before `at`; 0 before the first. */
function lastUpTo(offsets: readonly number[], at: number): number {
  let low = 0;
  let high = offsets.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((offsets[middle] ?? 0) <= at) low = middle;
    else high = middle;
  }
  return low;
}
