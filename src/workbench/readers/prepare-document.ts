import { createHash } from "node:crypto";
import { chunkDocument, chunkKey, type Chunk, type ChunkLimits } from "./chunk-document.ts";
import type { CountTokens } from "./measure-text.ts";
import { readDocument, type ReadInput } from "./read-document.ts";
import { splitIdentifiers } from "./split-identifiers.ts";

/** A document ready to be embedded and stored. */
export type PreparedDocument = {
  readonly text: string;
  readonly title: string | null;
  readonly mediaType: string;
  readonly format: string;
  readonly language: string | null;
  /** Of the file's bytes, in hexadecimal. */
  readonly sha256: string;
  readonly bytes: number;
  /** `key`: content address of what is embedded; `identifiers`: the extra words for the keyword index. */
  readonly chunks: readonly (Chunk & { readonly key: string; readonly identifiers: string })[];
  /** Why code was cut by lines instead of by its syntax, or null. */
  readonly fellBackToLines: string | null;
};

/** Reads and chunks one document; errors are those of `readDocument` and `chunkDocument`. */
export async function prepareDocument(
  input: ReadInput,
  limits: ChunkLimits,
  countTokens: CountTokens,
): Promise<PreparedDocument> {
  const read = readDocument(input);
  const { text, title, mediaType, format, language } = read;
  const { chunks, fellBackToLines } = await chunkDocument(read, limits, countTokens);
  return {
    text,
    title,
    mediaType,
    format,
    language,
    sha256: createHash("sha256").update(input.bytes).digest("hex"),
    bytes: input.bytes.length,
    chunks: chunks.map((chunk) => ({
      ...chunk,
      key: chunkKey(chunk.embeddedText),
      identifiers: splitIdentifiers(text.slice(chunk.from, chunk.to)),
    })),
    fellBackToLines,
  };
}
