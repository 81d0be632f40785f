export { createEmbeddings } from "./embeddings.ts";
export type { Embeddings } from "./embeddings.ts";
export { cosine, embeddingBytes, readEmbedding, spaceOf, storedEmbedding } from "./embedding.ts";
export type { Embedding } from "./embedding.ts";
export type { Space } from "./space.ts";
