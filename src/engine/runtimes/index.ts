export { createStaticRuntime } from "./static-runtime.ts";
export type { OpenStaticModel, StaticRuntime } from "./static-runtime.ts";
export type { TokenPairs } from "./token-pairs.ts";
export { openTokenizer } from "./open-tokenizer.ts";
