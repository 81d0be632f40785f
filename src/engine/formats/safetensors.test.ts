import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TensorFileInvalidError } from "#base/errors/index.ts";
import { parseSafetensorsHeader, readTensor, type SafetensorsHeader } from "./index.ts";

const folder = new URL("../../../test/fixtures/safetensors/malformed/", import.meta.url);
const cases = JSON.parse(readFileSync(new URL("malformed.json", folder), "utf8")) as {
  files: Record<string, { reader_must: "refuse" | "read" | "either"; says: string }>;
};
const readFixture = (name: string): Uint8Array => readFileSync(new URL(name, folder));

/** The words of the message that name what the case is about, by the number in the file's name. */
const mustSay: Record<string, RegExp> = {
  "01": /shorter than the 8-byte/,
  "02": /shorter than the 8-byte/,
  "03": /header is empty/,
  "04": /exceeds the file/,
  "05": /limit of 100000000/,
  "06": /limit of 100000000/,
  "07": /limit of 100000000/,
  "08": /exceeds the file/,
  "09": /not JSON/,
  "10": /must start with \{/,
  "11": /must start with \{/,
  "12": /must start with \{/,
  "13": /must start with \{/,
  "14": /not UTF-8/,
  "15": /lone surrogate/,
  "16": /bytes after the JSON/,
  "17": /bytes after the JSON/,
  "18": /nesting deeper/,
  "19": /not JSON/,
  "20": /"a" is declared twice/,
  "21": /"a" is declared twice/,
  "22": /"dtype" is declared twice/,
  "23": /"F12" is unknown/,
  "24": /"f32" is unknown/,
  "25": /"constructor" is unknown/,
  "26": /dtype is missing/,
  "27": /shape is missing/,
  "28": /data_offsets is missing/,
  "29": /not an object/,
  "30": /not an object/,
  "31": /unknown key extra/,
  "32": /-2 is negative/,
  "33": /negative/,
  "34": /1\.5 is not an integer/,
  "35": /not an integer/,
  "36": /shape is not an array/,
  "37": /overflows/,
  "38": /exceeds 2\^53/,
  "39": /exceeds 2\^53/,
  "40": /more than 64 elements/,
  "41": /beyond the file/,
  "42": /before the start/,
  "43": /negative/,
  "44": /not an integer/,
  "45": /must be two numbers/,
  "46": /exceeds 2\^53|beyond the file/,
  "47": /"a" and "b" overlap/,
  "48": /overlap/,
  "49": /bytes 0 to 8 .* belong to no tensor/,
  "50": /bytes 8 to 12 .* belong to no tensor/,
  "51": /14 bytes after the last tensor/,
  "52": /beyond the file/,
  "53": /8 bytes, but F32 \[3\] needs 12/,
  "54": /3 elements does not fill whole bytes/,
  "55": /values must be strings/,
  "56": /values must be strings/,
  "57": /values must be strings/,
};

describe("the malformed and the odd", () => {
  test("all 66 files are covered", () => {
    const files = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
    expect(files.toSorted()).toEqual(Object.keys(cases.files).toSorted());
    expect(files).toHaveLength(66);
  });

  test.each(Object.entries(cases.files))("%s", (name, { reader_must: readerMust }) => {
    const bytes = readFixture(name);
    const says = mustSay[name.slice(0, 2)];
    if (readerMust === "read") {
      const header = parseSafetensorsHeader(bytes);
      for (const tensor of header.tensors.keys())
        expect(readTensor(bytes, header, tensor)).toBeDefined();
      expect(says).toBeUndefined();
      return;
    }
    let refusal: unknown;
    try {
      parseSafetensorsHeader(bytes);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(TensorFileInvalidError);
    expect(says).toBeDefined();
    expect(String(refusal)).toMatch(says ?? /^$/);
  });
});

describe("the odd ones are read right", () => {
  const open = (name: string): { bytes: Uint8Array; header: SafetensorsHeader } => {
    const bytes = readFixture(`${name}.safetensors`);
    return { bytes, header: parseSafetensorsHeader(bytes) };
  };
  const valuesOf = ({ bytes, header }: ReturnType<typeof open>, tensor: string) => [
    ...readTensor(bytes, header, tensor),
  ];

  test("names of Object.prototype, paths and emoji are names", () => {
    expect([...open("58-odd-proto-names").header.tensors.keys()]).toEqual([
      "__proto__",
      "constructor",
      "toString",
    ]);
    expect([...open("64-odd-names").header.tensors.keys()]).toEqual(["", "../../x", "東京/🚀"]);
  });

  test("tensors at odd offsets, in any order, scalar or empty", () => {
    expect(valuesOf(open("59-odd-unaligned"), "b")).toEqual([1, 2]);
    expect(valuesOf(open("63-odd-order"), "a")).toEqual([1]);
    expect(valuesOf(open("63-odd-order"), "b")).toEqual([2]);
    expect(valuesOf(open("62-odd-scalar-and-empty"), "s")).toEqual([1]);
    expect(valuesOf(open("62-odd-scalar-and-empty"), "e")).toEqual([]);
    expect(valuesOf(open("65-odd-space-padding"), "a")).toEqual([1, 2]);
  });

  test("no tensors, metadata only", () => {
    expect(open("60-odd-no-tensors").header.tensors.size).toBe(0);
    const { tensors, metadata } = open("61-odd-only-metadata").header;
    expect(tensors.size).toBe(0);
    expect(Object.fromEntries(metadata)).toEqual({ format: "pt", "": "", emoji: "🙂" });
  });

  test("all dtypes: every value comes from its own bytes 1, 2, 3, …", () => {
    const file = open("66-odd-all-dtypes");
    expect(file.header.tensors.size).toBe(15);
    for (const [name, tensor] of file.header.tensors) {
      const values = readTensor(file.bytes, file.header, name);
      expect(values.byteLength).toBe(tensor.end - tensor.begin);
      const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      const expected = [...file.bytes.subarray(tensor.begin, tensor.end)];
      expect([...raw]).toEqual(expected);
      expect(expected).toEqual(name === "BOOL" ? [0, 1] : expected.map((_, index) => index + 1));
    }
    expect(valuesOf(file, "I16")).toEqual([0x0201, 0x0403]);
    expect(valuesOf(file, "U32")).toEqual([0x04030201, 0x08070605]);
    expect(valuesOf(file, "I64")).toEqual([0x0807060504030201n, 0x100f0e0d0c0b0a09n]);
  });
});

describe("properties", () => {
  const base = readFixture("59-odd-unaligned.safetensors");

  test("any change of any byte gives a typed error or a file that is whole", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const bytes = new Uint8Array(base);
          for (const [at, value] of changes) bytes[at] = value;
          let header: SafetensorsHeader;
          try {
            header = parseSafetensorsHeader(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(TensorFileInvalidError);
            return;
          }
          for (const { begin, end } of header.tensors.values())
            expect(begin >= 8 && end <= bytes.length).toBe(true);
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("only the header's bytes are needed, and the length of the whole file counts", () => {
    const head = base.subarray(0, base.length - 11);
    expect(parseSafetensorsHeader(head, base.length)).toEqual(parseSafetensorsHeader(base));
    expect(() => parseSafetensorsHeader(head, base.length + 1)).toThrow(/1 bytes after the last/);
    expect(() => parseSafetensorsHeader(base.subarray(0, 20), base.length)).toThrow(
      /only 20 bytes/,
    );
    const header = parseSafetensorsHeader(base);
    expect(() => readTensor(head, header, "b")).toThrow(TensorFileInvalidError);
    expect(() => readTensor(base, header, "c")).toThrow(/no tensor "c"; the file has a, b/);
  });

  test("a header of 100,001 tensors is refused by its number", () => {
    const entries = Array.from(
      { length: 100_002 },
      (_, index) => `"${index}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`,
    );
    const text = new TextEncoder().encode(`{${entries.join(",")}}`);
    const bytes = new Uint8Array(8 + text.length);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
    bytes.set(text, 8);
    expect(() => parseSafetensorsHeader(bytes)).toThrow(/more than 100001 members/);
  });
});
