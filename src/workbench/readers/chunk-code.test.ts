import { describe, expect, test } from "vitest";
import { chunkDocument, type Chunk, type ChunkLimits } from "./chunk-document.ts";
import { readDocument } from "./read-document.ts";

const limits: ChunkLimits = { maxTokens: 40, overlapTokens: 8 };

/** Words, with long ones counted by their length, as a word piece tokenizer does. */
function countTokens(text: string): number {
  let tokens = 0;
  for (const [word] of text.matchAll(/\S+/g)) tokens += Math.ceil(word.length / 6);
  return tokens;
}

async function chunk(key: string, content: string): Promise<Chunk[]> {
  const read = readDocument({ bytes: Buffer.from(content), key });
  return (await chunkDocument(read, limits, countTokens)).chunks;
}

describe("source code", () => {
  const body = (name: string): string => `    return this.${name} + ${"1 + ".repeat(12)}0;`;
  const source = [
    'import { a } from "./a.ts";',
    "",
    "/** Keeps things. */",
    "@sealed",
    "export class Cache {",
    "  /** Reads. */",
    "  get(): number {",
    body("get"),
    "  }",
    "",
    "  // Writes.",
    "  set(): number {",
    body("set"),
    "  }",
    "}",
    "",
    "export const small = () => 1;",
    "",
    "function other() {",
    "  return 2;",
    "}",
    "",
  ].join("\n");

  test("is cut at classes, methods and functions with their comments, under their symbols", async () => {
    const chunks = await chunk("cache.ts", source);
    const get = chunks.find((each) => each.embeddedText.includes("this.get"));
    const set = chunks.find((each) => each.embeddedText.includes("this.set"));
    expect(get?.heading).toEqual(["class Cache", "get"]);
    expect(set?.heading).toEqual(["class Cache", "set"]);
    expect(set?.embeddedText).toMatch(/^class Cache\n {2}\/\/ Writes\.\n {2}set/);
    expect(set?.fromLine).toBe(11);
  });

  test.each([
    ["a.py", "@deco\nclass Cache:\n    def get(self):\n        return (FILL)\n", "class Cache"],
    [
      "a.go",
      "package a\n\n// Get reads.\nfunc (c *Cache) Get() int {\n\treturn FILL\n}\n",
      "Cache.Get",
    ],
    [
      "a.rs",
      "#[inline]\nimpl Read for Cache {\n fn get() -> u8 { FILL }\n}\n",
      "impl Read for Cache",
    ],
    ["A.java", "public class Cache {\n  int get() { return FILL; }\n}\n", "class Cache"],
    ["a.c", "/* Doc. */\nstatic int *get(int a) {\n  return FILL;\n}\n", "get"],
    ["a.cpp", "template <class T>\nint Cache::get(T a) {\n  return FILL;\n}\n", "Cache::get"],
    ["a.jsx", "export const App = () => <div>{FILL}</div>;\n", "App"],
    ["a.tsx", "export function App(): Element { return <p>{FILL}</p>; }\n", "App"],
    ["a.mjs", "export default class Cache { get() { return FILL; } }\n", "class Cache"],
  ])(
    "knows the symbols of %s, also in the middle of what had to be cut",
    async (key, form, symbol) => {
      const content = form.replace("FILL", `${"number + ".repeat(60)}number`);
      const read = readDocument({ bytes: Buffer.from(content), key });
      const { chunks, fellBackToLines } = await chunkDocument(read, limits, countTokens);
      expect(fellBackToLines).toBeNull();
      expect(chunks.length).toBeGreaterThan(2);
      const middle = chunks[chunks.length - 2];
      expect(middle?.heading[0]).toBe(symbol);
      expect(middle?.embeddedText.startsWith(symbol)).toBe(true);
    },
  );

  test("one brace that is not closed does not cost the file its syntax", async () => {
    const content = `${source}\nfunction broken() {\n  if (a) {\n`;
    const read = readDocument({ bytes: Buffer.from(content), key: "a.ts" });
    const { chunks, fellBackToLines } = await chunkDocument(read, limits, countTokens);
    expect(fellBackToLines).toBeNull();
    expect(chunks.some((each) => each.heading[0] === "class Cache")).toBe(true);
  });

  test.each([
    ["a.rb", "def f\n  1\nend\n", "no grammar for ruby"],
    ["a.yaml", "a: 1\n", "no grammar for yaml"],
    ["a.java", "?? not ]] java (( at all }} ".repeat(5), "syntax errors in"],
    ["big.js", "f(1);\n".repeat(200_000), "more than the 1000000"],
  ])("%s falls back to lines and says why", async (key, content, reason) => {
    const read = readDocument({ bytes: Buffer.from(content), key });
    const { fellBackToLines } = await chunkDocument(
      read,
      { maxTokens: 384, overlapTokens: 48 },
      countTokens,
    );
    expect(fellBackToLines).toContain(reason);
  });
});
