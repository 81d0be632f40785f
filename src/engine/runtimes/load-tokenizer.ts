import { TokenizerInvalidError } from "#base/errors/index.ts";
import { type ModelFile, openModelFolder, readModelFile } from "./read-model-file.ts";
import { findOffsets, type TokenOffsets } from "./token-offsets.ts";
import { createTokenizerSteps, splitSections, tokenizerFile } from "./tokenizer-steps.ts";

/** Words whose ids are kept: more than any text of one language repeats often. About 3 MB. */
const mostCachedWords = 20_000;

/** The tokenizer of one static model. Its calls are synchronous: use it inside a worker thread. */
export type StaticTokenizer = {
  /** One more than the largest id it can give. */
  readonly vocabulary: number;
  readonly sha256: string;
  /** The model's own ids of `text`: camelCase split, no special tokens, not cut. */
  encode(text: string): { ids: number[] };
  count(text: string): number;
  /** The ids with the place of each in `text`. Slower than `encode`. */
  offsets(text: string): TokenOffsets;
};

/**
 * Loads the tokenizer of a model folder. Throws `ModelFileMissingError`, or `TokenizerInvalidError` when the file is
 * damaged, is not JSON or is of another kind than BERT's WordPiece.
 */
export function loadTokenizer(folder: string): StaticTokenizer {
  const file = readModelFile(
    openModelFolder(folder),
    tokenizerFile,
    (reason) => new TokenizerInvalidError(reason),
  );
  return createTokenizer(file);
}

/** The tokenizer of a file that was read already. Throws as `loadTokenizer`. */
export function createTokenizer(file: ModelFile): StaticTokenizer {
  const { steps, vocabulary } = createTokenizerSteps(file.bytes);
  const idsByWord = new Map<string, readonly number[]>();
  const idsOfWord = (word: string): readonly number[] => {
    const known = idsByWord.get(word);
    if (known !== undefined) return known;
    const ids = steps.tokensOfWord(word).map(steps.idOfToken);
    if (idsByWord.size === mostCachedWords) idsByWord.clear();
    idsByWord.set(word, ids);
    return ids;
  };
  const encode = (text: string): number[] => {
    const ids: number[] = [];
    for (const section of splitSections(steps, steps.prepare(text))) {
      const added = steps.addedTokens.get(section);
      if (added !== undefined) ids.push(added);
      else
        for (const word of steps.splitWords(steps.normalize(section)))
          for (const id of idsOfWord(word)) ids.push(id);
    }
    return ids;
  };
  return {
    vocabulary,
    sha256: file.sha256,
    encode: (text) => ({ ids: encode(text) }),
    count: (text) => encode(text).length,
    offsets: (text) => findOffsets(steps, text),
  };
}
