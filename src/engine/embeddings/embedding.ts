import { crc32 } from "node:zlib";
import {
  EmbeddingInferenceError,
  SpaceInvalidError,
  SpaceMismatchError,
} from "#base/errors/index.ts";
import type { Space } from "./space.ts";

const inSpace = Symbol("space of an embedding");

/** A vector of one space, `[dims]`, made by a model and checked; nothing else is one. */
export type Embedding = Float32Array & { readonly [inSpace]: string };

/** How far a unit vector's length may be from 1: float32 rounding of a few hundred components stays below a tenth of it. */
const unitTolerance = 1e-4;

/** What is wrong with `values` as a vector of `space`, or null. */
function fault(space: Space, values: Float32Array): string | null {
  if (values.length !== space.dims)
    return `has ${values.length} components, space ${space.name} has ${space.dims}`;
  let squares = 0;
  for (const value of values) squares += value * value;
  if (!Number.isFinite(squares)) return "has a component that is not finite";
  if (squares === 0) return "is the zero vector";
  if (space.normalized && Math.abs(Math.sqrt(squares) - 1) > unitTolerance)
    return `has length ${Math.sqrt(squares).toFixed(6)} instead of 1`;
  return null;
}

/** The one maker of embeddings from what a model answered. Raises EmbeddingInferenceError for anything that is not a vector of `space`. */
export function toEmbedding(space: Space, values: Float32Array): Embedding {
  const wrong = fault(space, values);
  if (wrong !== null)
    throw new EmbeddingInferenceError(`The vector that ${space.model.name} gave ${wrong}.`);
  return brand(space, values);
}

/** Bytes of the CRC-32 behind a stored vector. */
const checksumBytes = 4;

/**
 * An embedding from its stored bytes: little-endian float32, then their CRC-32; the first release stored none. Raises
 * SpaceInvalidError when they are not a vector of `space`, or not the one that was stored.
 */
export function readEmbedding(space: Space, stored: Uint8Array): Embedding {
  const bytes = space.dims * 4;
  if (stored.byteLength !== bytes && stored.byteLength !== bytes + checksumBytes)
    throw new SpaceInvalidError(
      `A stored vector has ${stored.byteLength} bytes; space ${space.name} needs ${bytes}, or ${bytes + checksumBytes} with its checksum.`,
    );
  // A copy: what a driver hands out may be a view of its own memory, and not aligned.
  const copy = new Uint8Array(stored);
  const values = new Float32Array(copy.buffer, 0, space.dims);
  if (copy.length > bytes) {
    const checksum = new DataView(copy.buffer).getUint32(bytes, true);
    if (crc32(copy.subarray(0, bytes)) !== checksum)
      throw new SpaceInvalidError(
        `A stored vector of ${space.name} is damaged: it is not what its checksum says.`,
      );
  }
  const wrong = fault(space, values);
  if (wrong !== null) throw new SpaceInvalidError(`A stored vector of ${space.name} ${wrong}.`);
  return brand(space, values);
}

/** The bytes under which an embedding is stored: its own and their CRC-32. */
export function storedEmbedding(embedding: Embedding): Uint8Array {
  const bytes = embeddingBytes(embedding);
  const stored = new Uint8Array(bytes.length + checksumBytes);
  stored.set(bytes);
  new DataView(stored.buffer).setUint32(bytes.length, crc32(bytes), true);
  return stored;
}

/** An embedding's own bytes: little-endian float32. */
export function embeddingBytes(embedding: Embedding): Uint8Array {
  return new Uint8Array(embedding.buffer, embedding.byteOffset, embedding.byteLength);
}

/** The id of the space an embedding belongs to. */
export function spaceOf(embedding: Embedding): string {
  return embedding[inSpace];
}

/** The cosine of two embeddings of one unit-length space, in -1…1. Raises SpaceMismatchError across spaces, also of equal dims. */
export function cosine(a: Embedding, b: Embedding): number {
  if (spaceOf(a) !== spaceOf(b))
    throw new SpaceMismatchError(`Vectors of ${spaceOf(a)} and ${spaceOf(b)} do not compare.`);
  let sum = 0;
  for (let index = 0; index < a.length; index += 1) sum += (a[index] ?? 0) * (b[index] ?? 0);
  return sum;
}

function brand(space: Space, values: Float32Array): Embedding {
  Object.defineProperty(values, inSpace, { value: space.id });
  return values as Embedding;
}
