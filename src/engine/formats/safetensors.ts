import { type CandorError, TensorFileInvalidError } from "#base/errors/index.ts";
import { parseStrictJson, type StrictJson } from "./parse-strict-json.ts";

// The format: 8 bytes little-endian header length, a JSON object, then the tensors' bytes without a gap
// (huggingface/safetensors, README "Format").

/** Longest header, bytes: the format's own limit. Headers of large models have about 10 MB. */
const longestHeader = 100_000_000;

/** Most tensors in one file. The largest honest files (mixture-of-experts shards) have about 10,000. */
const mostTensors = 100_000;

/** Most dimensions of one tensor: what NumPy allows. Weights have at most 5. */
const mostDimensions = 64;

/** A header is an object of objects with one array in each. */
const deepestNesting = 3;

const headerLengthBytes = 8;

/** Bits per element. Types below 8 bits must fill whole bytes. */
const bitsByType = new Map([
  ["F64", 64],
  ["I64", 64],
  ["U64", 64],
  ["C64", 64],
  ["F32", 32],
  ["I32", 32],
  ["U32", 32],
  ["F16", 16],
  ["BF16", 16],
  ["I16", 16],
  ["U16", 16],
  ["I8", 8],
  ["U8", 8],
  ["BOOL", 8],
  ["F8_E4M3", 8],
  ["F8_E5M2", 8],
  ["F8_E8M0", 8],
  ["F6_E2M3", 6],
  ["F6_E3M2", 6],
  ["F4", 4],
]);

const entryKeys = ["dtype", "shape", "data_offsets"];

/** One tensor: its type, its shape (outermost first) and where its bytes lie in the file. */
export type TensorInfo = {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Offset of the first byte in the file. */
  readonly begin: number;
  /** Offset behind the last byte in the file. */
  readonly end: number;
};

export type SafetensorsHeader = {
  /** By name, in the order of the header. Names are arbitrary text, never paths. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
};

/** A tensor's values; types that JavaScript has no array for (BF16, F8, F6, F4, C64) and BOOL are their bytes. */
export type TensorValues =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float16Array
  | Float32Array
  | Float64Array;

/**
 * Reads and checks the header of a safetensors file. `bytes` is the beginning of the file (its header at least),
 * `fileLength` the length of the whole file. Throws `TensorFileInvalidError` that names the limit or rule broken:
 * nothing beyond `bytes` is allocated, every byte of the file belongs to exactly one tensor, no name comes twice.
 */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  fileLength: number = bytes.length,
): SafetensorsHeader {
  const header = parseStrictJson(
    readHeaderText(bytes, fileLength),
    { depth: deepestNesting, members: mostTensors + 1, elements: mostDimensions },
    (reason) => invalid(`header: ${reason}`),
  );
  if (!(header instanceof Map)) throw invalid("the header is not an object");
  const dataBegin = headerLengthBytes + readHeaderLength(bytes);
  const tensors = new Map<string, TensorInfo>();
  let metadata: ReadonlyMap<string, string> = new Map();
  for (const [name, entry] of header as ReadonlyMap<string, StrictJson>)
    if (name === "__metadata__") metadata = toMetadata(entry);
    else tensors.set(name, toTensor(name, entry, dataBegin, fileLength));
  checkCoverage(tensors, dataBegin, fileLength);
  return { tensors, metadata };
}

/**
 * The values of one tensor of `file` (all of its bytes). A view without a copy where the bytes are aligned for it,
 * else a copy: tensors may begin at any offset. Throws `TensorFileInvalidError` when there is no such tensor.
 */
export function readTensor(
  file: Uint8Array,
  header: SafetensorsHeader,
  name: string,
): TensorValues {
  const tensor = header.tensors.get(name);
  if (tensor === undefined)
    throw invalid(
      `there is no tensor ${JSON.stringify(name)}; the file has ${[...header.tensors.keys()].slice(0, 20).join(", ")}`,
    );
  if (tensor.end > file.length)
    throw invalid(`tensor ${JSON.stringify(name)} ends at byte ${tensor.end} of ${file.length}`);
  return viewValues(file.subarray(tensor.begin, tensor.end), tensor.dtype);
}

function readHeaderText(bytes: Uint8Array, fileLength: number): string {
  if (fileLength < headerLengthBytes || bytes.length < headerLengthBytes)
    throw invalid(`the file is shorter than the ${headerLengthBytes}-byte header length`);
  const length = readHeaderLength(bytes);
  if (length > longestHeader)
    throw invalid(`header length ${length} exceeds the limit of ${longestHeader} bytes`);
  if (length > fileLength - headerLengthBytes)
    throw invalid(`header length ${length} exceeds the file of ${fileLength} bytes`);
  if (length === 0) throw invalid("the header is empty");
  const end = headerLengthBytes + length;
  if (bytes.length < end)
    throw invalid(`the header ends at byte ${end}, only ${bytes.length} bytes were given`);
  if (bytes[headerLengthBytes] !== "{".charCodeAt(0)) throw invalid("the header must start with {");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(headerLengthBytes, end));
  } catch (cause) {
    throw invalid("the header is not UTF-8", cause);
  }
}

/** As a number: values above 2^53 lose their last digits, and are far above the limit. */
function readHeaderLength(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Number(view.getBigUint64(0, true));
}

function toMetadata(entry: StrictJson): ReadonlyMap<string, string> {
  if (!(entry instanceof Map)) throw invalid("__metadata__ is not an object");
  for (const [key, value] of entry as ReadonlyMap<string, StrictJson>)
    if (typeof value !== "string")
      throw invalid(`__metadata__ values must be strings: ${JSON.stringify(key)} is not`);
  return entry;
}

function toTensor(
  name: string,
  entry: StrictJson,
  dataBegin: number,
  fileLength: number,
): TensorInfo {
  const at = `tensor ${JSON.stringify(name).slice(0, 100)}`;
  if (!(entry instanceof Map)) throw invalid(`${at}: its entry is not an object`);
  const fields = entry as ReadonlyMap<string, StrictJson>;
  for (const key of entryKeys) if (!fields.has(key)) throw invalid(`${at}: ${key} is missing`);
  for (const key of fields.keys())
    if (!entryKeys.includes(key))
      throw invalid(`${at}: unknown key ${key}; known are ${entryKeys.join(", ")}`);

  const dtype = fields.get("dtype");
  const bits = typeof dtype === "string" ? bitsByType.get(dtype) : undefined;
  if (typeof dtype !== "string" || bits === undefined)
    throw invalid(
      `${at}: dtype ${JSON.stringify(dtype)} is unknown; known are ${[...bitsByType.keys()].join(", ")}`,
    );
  const shape = toIntegers(fields.get("shape"), `${at}: shape`);
  const offsets = toIntegers(fields.get("data_offsets"), `${at}: data_offsets`);
  const [begin, end] = offsets;
  if (offsets.length !== 2 || begin === undefined || end === undefined)
    throw invalid(`${at}: data_offsets must be two numbers, there are ${offsets.length}`);
  if (end < begin) throw invalid(`${at}: data_offsets end at ${end}, before the start ${begin}`);
  if (dataBegin + end > fileLength)
    throw invalid(
      `${at}: data_offsets end at ${end}, beyond the file's ${fileLength - dataBegin} bytes of data`,
    );
  const needed = countBytes(shape, bits, `${at}: ${dtype} [${shape.join(", ")}]`);
  if (needed !== end - begin)
    throw invalid(
      `${at}: ${end - begin} bytes, but ${dtype} [${shape.join(", ")}] needs ${needed}`,
    );
  return { dtype, shape, begin: dataBegin + begin, end: dataBegin + end };
}

function toIntegers(value: StrictJson | undefined, at: string): readonly number[] {
  if (!Array.isArray(value)) throw invalid(`${at} is not an array`);
  return value.map((item: StrictJson) => {
    if (typeof item !== "number" || !Number.isInteger(item))
      throw invalid(`${at}: ${JSON.stringify(item)} is not an integer`);
    if (item < 0) throw invalid(`${at}: ${item} is negative`);
    if (!Number.isSafeInteger(item)) throw invalid(`${at}: ${item} exceeds 2^53`);
    return item;
  });
}

/** Bytes of a tensor of this shape; exact, because the product is refused before it passes 2^53. */
function countBytes(shape: readonly number[], bits: number, at: string): number {
  // A zero anywhere makes the tensor empty, whatever its other dimensions multiply to.
  let elements = shape.includes(0) ? 0 : 1;
  for (const dimension of shape) {
    elements *= dimension;
    if (elements * bits > Number.MAX_SAFE_INTEGER) throw invalid(`${at}: its size overflows`);
  }
  if ((elements * bits) % 8 !== 0)
    throw invalid(`${at} with ${elements} elements does not fill whole bytes`);
  return (elements * bits) / 8;
}

function checkCoverage(
  tensors: ReadonlyMap<string, TensorInfo>,
  dataBegin: number,
  fileLength: number,
): void {
  const inOrder = [...tensors].toSorted(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let covered = dataBegin;
  let before = "";
  for (const [name, { begin, end }] of inOrder) {
    if (begin < covered)
      throw invalid(`tensors ${JSON.stringify(before)} and ${JSON.stringify(name)} overlap`);
    if (begin > covered)
      throw invalid(
        `bytes ${covered - dataBegin} to ${begin - dataBegin} of the data belong to no tensor`,
      );
    covered = end;
    before = name;
  }
  if (covered < fileLength)
    throw invalid(`${fileLength - covered} bytes after the last tensor belong to no tensor`);
}

function viewValues(bytes: Uint8Array, dtype: string): TensorValues {
  switch (dtype) {
    case "I8":
      return new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    case "I16":
      return new Int16Array(...aligned(bytes, 2));
    case "U16":
      return new Uint16Array(...aligned(bytes, 2));
    case "F16":
      return new Float16Array(...aligned(bytes, 2));
    case "I32":
      return new Int32Array(...aligned(bytes, 4));
    case "U32":
      return new Uint32Array(...aligned(bytes, 4));
    case "F32":
      return new Float32Array(...aligned(bytes, 4));
    case "I64":
      return new BigInt64Array(...aligned(bytes, 8));
    case "U64":
      return new BigUint64Array(...aligned(bytes, 8));
    case "F64":
      return new Float64Array(...aligned(bytes, 8));
    default:
      return bytes;
  }
}

/** The arguments of a typed array over these bytes; a copy where they do not begin at a multiple of `size`. */
function aligned(bytes: Uint8Array, size: number): [ArrayBufferLike, number, number] {
  const placed = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return [placed.buffer, placed.byteOffset, bytes.length / size];
}

function invalid(reason: string, cause?: unknown): CandorError {
  return new TensorFileInvalidError(reason, { cause });
}
