export { createStaticRuntime } from "./static-runtime.ts";
export type {
  CallOptions,
  OpenStaticModel,
  StaticEmbeddedBatch,
  StaticEmbeddedItem,
  StaticRuntime,
} from "./static-runtime.ts";
export type { StaticModelDescription } from "./load-static-model.ts";
export type { TextRole } from "./embed-texts.ts";
export type { TokenPair, TokenPairs, TokenPlace } from "./token-pairs.ts";
export { openTokenizer } from "./open-tokenizer.ts";
export type { StaticTokenizer } from "./load-tokenizer.ts";
export type { TokenOffsets } from "./token-offsets.ts";
