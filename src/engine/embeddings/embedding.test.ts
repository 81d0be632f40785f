import { expect, test } from "vitest";
import {
  cosine,
  embeddingBytes,
  readEmbedding,
  spaceOf,
  storedEmbedding,
  toEmbedding,
} from "./embedding.ts";
import { type Space, spaceIdentity } from "./space.ts";

const facts = {
  revision: "sha256:1",
  dims: 4,
  maxTokens: null,
  prefixes: { query: "", passage: "" },
};

function makeSpace(id: string, dims = 4, normalized = true): Space {
  return {
    id,
    name: `space ${id}`,
    model: { id: null, name: "a-model", revision: facts.revision },
    runtime: "static",
    pooling: "mean",
    normalized,
    dims,
    maxTokens: null,
    prefixes: facts.prefixes,
    fusionWeight: null,
    fusionWeightMeasured: null,
    default: true,
  };
}

const space = makeSpace("spc_a");
const unit = () => new Float32Array([0.5, 0.5, 0.5, 0.5]);

test("a vector of the space becomes an embedding that knows its space", () => {
  const embedding = toEmbedding(space, unit());
  expect(spaceOf(embedding)).toBe("spc_a");
  expect([...embedding]).toEqual([0.5, 0.5, 0.5, 0.5]);
  expect(cosine(embedding, toEmbedding(space, new Float32Array([1, 0, 0, 0])))).toBe(0.5);
});

test.each([
  ["too few components", [1, 0, 0], /has 3 components, space space spc_a has 4/],
  ["too many components", [1, 0, 0, 0, 0], /has 5 components/],
  ["none", [], /has 0 components/],
  ["NaN", [Number.NaN, 0, 0, 1], /not finite/],
  ["an infinity", [Number.POSITIVE_INFINITY, 0, 0, 0], /not finite/],
  ["zeros", [0, 0, 0, 0], /zero vector/],
  ["a length above 1", [1, 0.1, 0, 0], /length 1\.00\d+ instead of 1/],
  ["a length below 1", [0.99, 0, 0, 0], /length 0\.99\d* instead of 1/],
])("refuses %s, from the model and from the store", (_what, values, message) => {
  const vector = new Float32Array(values);
  expect(() => toEmbedding(space, vector)).toThrow(
    expect.objectContaining({ code: "inference_failed", message: expect.stringMatching(message) }),
  );
  const stored = new Uint8Array(vector.buffer);
  expect(() => readEmbedding(space, stored)).toThrow(
    expect.objectContaining({ code: "space_invalid" }),
  );
});

test("a vector of any length is one in a space that is not normalised, but never zero", () => {
  const open = makeSpace("spc_open", 4, false);
  expect([...toEmbedding(open, new Float32Array([3, 0, 0, 4]))]).toEqual([3, 0, 0, 4]);
  expect(() => toEmbedding(open, new Float32Array(4))).toThrow(/zero vector/);
});

test("vectors of two spaces do not compare, though they have the same length", () => {
  const other = toEmbedding(makeSpace("spc_b"), unit());
  expect(() => cosine(toEmbedding(space, unit()), other)).toThrow(
    expect.objectContaining({
      code: "space_mismatch",
      message: expect.stringMatching(/spc_a.*spc_b/),
    }),
  );
});

test("what is stored comes back bit by bit, also from a view that is not aligned", () => {
  const embedding = toEmbedding(space, new Float32Array([0.1, -0.7, 0.5, 0.5]).map(toUnit));
  const bytes = embeddingBytes(embedding);
  expect(bytes).toHaveLength(16);
  const padded = new Uint8Array(19);
  padded.set(bytes, 3);
  for (const stored of [
    bytes,
    padded.subarray(3),
    Buffer.from(bytes),
    Buffer.from(padded).subarray(3),
  ])
    expect([...readEmbedding(space, stored)]).toEqual([...embedding]);
});

test("a stored vector with any bit other than it was is refused", () => {
  const embedding = toEmbedding(space, new Float32Array([0.1, -0.7, 0.5, 0.5]).map(toUnit));
  const stored = storedEmbedding(embedding);
  expect([...readEmbedding(space, stored)]).toEqual([...embedding]);
  for (let bit = 0; bit < stored.length * 8; bit += 1) {
    const flipped = Uint8Array.from(stored);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(() => readEmbedding(space, flipped)).toThrow(
      expect.objectContaining({ code: "space_invalid" }),
    );
  }
});

/** Divides by the length of the vector it belongs to. */
function toUnit(value: number, _index: number, all: Float32Array): number {
  return value / Math.hypot(...all);
}

test("a space is another one as soon as anything that changes its vectors differs", () => {
  const base = { name: "a-model", ...facts };
  const identity = spaceIdentity(base);
  expect(spaceIdentity({ ...base, name: "renamed" })).toBe(identity);
  for (const other of [
    { revision: "sha256:2" },
    { dims: 5 },
    { maxTokens: 512 },
    { prefixes: { query: "query: ", passage: "" } },
    { prefixes: { query: "", passage: "query: " } },
  ])
    expect(spaceIdentity({ ...base, ...other })).not.toBe(identity);
});
