import type { StaticTokenizer } from "./load-tokenizer.ts";

/**
 * The tokenizer of a static model's folder. Its library is loaded with the first one: only worker threads cut text, and
 * the main thread starts without it. Throws what `loadTokenizer` throws.
 */
export async function openTokenizer(folder: string): Promise<StaticTokenizer> {
  const { loadTokenizer } = await import("./load-tokenizer.ts");
  return loadTokenizer(folder);
}
