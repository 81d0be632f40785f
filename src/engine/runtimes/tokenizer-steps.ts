import { Tokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { TokenizerInvalidError } from "#base/errors/index.ts";
import { splitCamelCase } from "./split-camel-case.ts";

export const tokenizerFile = "tokenizer.json";

/** Code points that BERT's rules separate like CJK and the library does not see, because they take two UTF-16 units. */
const wideIdeograph =
  /[\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu;

/** What is understood of a tokenizer.json: exactly the kind that the format candor-static-1 is defined with. */
const tokenizerSchema = z.object({
  normalizer: z.object({
    type: z.literal("BertNormalizer"),
    clean_text: z.literal(true),
    handle_chinese_chars: z.literal(true),
    strip_accents: z.literal([true, null]).optional(),
    lowercase: z.literal(true),
  }),
  pre_tokenizer: z.object({ type: z.literal("BertPreTokenizer") }),
  model: z.object({
    type: z.literal("WordPiece"),
    unk_token: z.string().min(1),
    continuing_subword_prefix: z.string(),
    max_input_chars_per_word: z.int().min(1).max(1000),
    vocab: z.record(z.string(), z.int().nonnegative()),
  }),
  added_tokens: z.array(
    z.object({
      id: z.int().nonnegative(),
      content: z.string().min(1),
      single_word: z.literal(false),
      lstrip: z.literal(false),
      rstrip: z.literal(false),
      normalized: z.literal(false),
    }),
  ),
});

/** The steps of the tokenizer, one by one. `prepare` may insert spaces and replace characters one by one, no more. */
export type TokenizerSteps = {
  readonly prepare: (text: string) => string;
  /** Added tokens (`[CLS]`, …) are found in the text as they stand and never split. */
  readonly addedTokens: ReadonlyMap<string, number>;
  readonly addedPattern: RegExp | undefined;
  readonly normalize: (section: string) => string;
  readonly splitWords: (normalized: string) => string[];
  readonly tokensOfWord: (word: string) => readonly string[];
  readonly idOfToken: (token: string) => number;
  readonly unknownToken: string;
  readonly continuation: string;
};

/** Added tokens and the text between them, in order; joined they are the prepared text. */
export function splitSections(steps: TokenizerSteps, prepared: string): string[] {
  if (steps.addedPattern === undefined) return [prepared];
  return prepared.split(steps.addedPattern).filter((section) => section !== "");
}

function parseTokenizer(bytes: Uint8Array): z.infer<typeof tokenizerSchema> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new TokenizerInvalidError(`${tokenizerFile} is not JSON`, { cause });
  }
  const parsed = tokenizerSchema.safeParse(json);
  if (!parsed.success)
    throw new TokenizerInvalidError(
      `${tokenizerFile} is not BERT's WordPiece as candor-static-1 needs it: ${z.prettifyError(parsed.error)}`,
    );
  // The library reads fields that are not listed above (the decoder): it gets the file as it is.
  return json as z.infer<typeof tokenizerSchema>;
}

/** The steps of a tokenizer.json, and one more than the largest id. Throws `TokenizerInvalidError`. */
export function createTokenizerSteps(bytes: Uint8Array): {
  steps: TokenizerSteps;
  vocabulary: number;
} {
  const json = parseTokenizer(bytes);
  const { tokenizer, normalizer, preTokenizer, model } = openLibrary(json);
  const ids = [...Object.values(json.model.vocab), ...json.added_tokens.map((token) => token.id)];
  const unknownToken = json.model.unk_token;
  if (tokenizer.token_to_id(unknownToken) === undefined)
    throw new TokenizerInvalidError(`the unknown token "${unknownToken}" is not in the vocabulary`);
  const forms: string[] = [];
  const formOf = (code: number): string => (forms[code] ??= normalizer(String.fromCharCode(code)));
  const contents = json.added_tokens.map((token) => token.content);
  return {
    vocabulary: ids.reduce((largest, id) => Math.max(largest, id), -1) + 1,
    steps: {
      prepare,
      addedTokens: new Map(json.added_tokens.map((token) => [token.content, token.id])),
      addedPattern: contents.length === 0 ? undefined : toPattern(contents),
      normalize: (section) => normalizeIndependent(section, formOf) ?? normalizer(section),
      splitWords: (normalized) => preTokenizer(normalized),
      tokensOfWord: (word) => model([word]),
      idOfToken: (token) => {
        const id = tokenizer.token_to_id(token);
        if (id === undefined) throw new TokenizerInvalidError(`"${token}" has no id`);
        return id;
      },
      unknownToken,
      continuation: json.model.continuing_subword_prefix,
    },
  };
}

function openLibrary(json: object) {
  try {
    const tokenizer = new Tokenizer(json, {});
    const { normalizer, pre_tokenizer: preTokenizer, model } = tokenizer;
    if (normalizer === null || preTokenizer === null || model === null)
      throw new TypeError("a step is missing");
    return { tokenizer, normalizer, preTokenizer, model };
  } catch (cause) {
    throw new TokenizerInvalidError(`${tokenizerFile} cannot be used`, { cause });
  }
}

/**
 * The text as the library must see it to give the ids of the reference implementation: well-formed (lone surrogates),
 * camelCase split, a capital sigma in its plain small form (the reference knows no final form), and spaces around
 * ideographs beyond U+FFFF.
 */
function prepare(text: string): string {
  const split = splitCamelCase(text.toWellFormed()).replaceAll("Σ", "σ");
  return split.replace(wideIdeograph, " $& ");
}

/** Alternatives in the order in which the longest comes first; captured, so that `split` keeps them. */
function toPattern(contents: readonly string[]): RegExp {
  const alternatives = contents
    .toSorted((a, b) => b.length - a.length)
    .map((content) => RegExp.escape(content));
  return new RegExp(`(${alternatives.join("|")})`);
}

/**
 * Whether a character is normalised alone as it is in any company: Latin letters, punctuation, symbols. Elsewhere
 * lie combining marks, whose order normalisation may change.
 */
function isIndependent(code: number): boolean {
  return code < 0x300 || (code >= 0x2000 && code < 0x20d0) || (code >= 0x2100 && code < 0x2c00);
}

/** The normalised form of a text of independent characters, five times faster; undefined for any other text. */
function normalizeIndependent(text: string, formOf: (code: number) => string): string | undefined {
  let normalized = "";
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (!isIndependent(code)) return undefined;
    normalized += formOf(code);
  }
  return normalized;
}
