import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chunkDocument, chunkKey, type Chunk, type ChunkLimits } from "./chunk-document.ts";
import { readDocument } from "./read-document.ts";

const limits: ChunkLimits = { maxTokens: 40, overlapTokens: 8 };

/** Words, with long ones counted by their length, as a word piece tokenizer does. */
function countTokens(text: string): number {
  let tokens = 0;
  for (const [word] of text.matchAll(/\S+/g)) tokens += Math.ceil(word.length / 6);
  return tokens;
}

async function chunk(key: string, content: string, wanted: ChunkLimits = limits): Promise<Chunk[]> {
  const read = readDocument({ bytes: Buffer.from(content), key });
  return (await chunkDocument(read, wanted, countTokens)).chunks;
}

/** What every chunking must keep, whatever the document. */
async function checkChunks(
  key: string,
  content: string,
  wanted: ChunkLimits,
  count = countTokens,
): Promise<void> {
  const read = readDocument({ bytes: Buffer.from(content), key });
  const { chunks } = await chunkDocument(read, wanted, count);
  const covered = new Uint8Array(read.text.length);
  let last = { from: -1, to: 0 };
  for (const [index, each] of chunks.entries()) {
    expect(each.ordinal).toBe(index);
    expect(each.from).toBeGreaterThan(last.from);
    expect(each.to).toBeGreaterThan(last.to);
    expect(each.tokens).toBe(count(each.embeddedText));
    expect(each.tokens).toBeLessThanOrEqual(wanted.maxTokens);
    const shown = read.text.slice(each.from, each.to);
    expect(each.embeddedText.endsWith(shown)).toBe(true);
    expect(shown.trim()).not.toBe("");
    expect(shown.isWellFormed()).toBe(true);
    expect(each.fromLine).toBe(read.lineOf(each.from));
    expect(each.toLine).toBe(read.lineOf(each.to - 1));
    covered.fill(1, each.from, each.to);
    last = each;
  }
  for (let at = 0; at < covered.length; at += 1) {
    if (covered[at] === 0) expect(read.text[at]).toMatch(/\s/);
  }
}

const word = fc.oneof(
  fc.stringMatching(/^[a-z]{1,9}$/),
  fc.constantFrom(
    "Größe",
    "東京都",
    "🙂🙂",
    "👩‍👩‍👧",
    "e\u0301",
    "\u200b",
    "\u0301",
    "\u0007",
    "🙂".repeat(150),
    `x${"🙂".repeat(150)}`,
    "x".repeat(300),
    "don't",
    "--",
    "#",
    "|",
    "`",
  ),
);
const sentence = fc.array(word, { minLength: 1, maxLength: 30 }).map((words) => words.join(" "));
const lineEnd = fc.constantFrom("\n", "\n\n", "\r\n", "\n \n\t");

function lines(start: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .array(fc.tuple(start, sentence, lineEnd), { minLength: 1, maxLength: 25 })
    .map((rows) => rows.map((row) => row.join("")).join(""));
}

const documents: readonly (readonly [string, fc.Arbitrary<string>])[] = [
  [
    "notes.md",
    lines(
      fc.constantFrom(
        "",
        "",
        "# ",
        "## ",
        "### ",
        "- ",
        "| a | ",
        "```\n",
        "> ",
        "    ",
        "---\n",
        "1. ",
      ),
    ),
  ],
  ["notes.txt", lines(fc.constant(""))],
  [
    "page.html",
    lines(
      fc.constantFrom(
        "<p>",
        "<h1>",
        "<h2>",
        "</h2>",
        "<div>",
        "<li>",
        "<td>",
        "<pre>",
        "</pre>",
        "<br>",
        "",
      ),
    ),
  ],
  ["rows.csv", lines(fc.constantFrom("", "a,b,", '"quoted, line\nend",', ",,,"))],
  ["data.json", fc.json({ maxDepth: 6 })],
  ["data.jsonl", fc.array(fc.json(), { minLength: 1 }).map((values) => values.join("\n"))],
  [
    "code.ts",
    lines(
      fc.constantFrom(
        "",
        "function f() {\n",
        "class A {\n",
        "}\n",
        "// ",
        "const x = [",
        "];\n",
        "@d\n",
      ),
    ),
  ],
  [
    "code.py",
    lines(fc.constantFrom("", "def f():\n    ", "class A:\n  ", "# ", "    return ", "@d\n")),
  ],
  ["code.rb", lines(fc.constantFrom("", "def f\n", "end\n"))],
];

describe("chunks of any document", () => {
  for (const [key, document] of documents) {
    test(`cover every non-blank character of ${key}, in order, within the limit`, async () => {
      await fc.assert(
        fc.asyncProperty(document, fc.integer({ min: 16, max: 90 }), async (content, maxTokens) => {
          fc.pre(/[^\s\p{Cc}\p{Cf}]/u.test(content.replace(/<[^>]*>/g, "")));
          await checkChunks(key, content, { maxTokens, overlapTokens: Math.floor(maxTokens / 5) });
        }),
        { numRuns: 150 },
      );
    });
  }

  test("stay within the limit where a tokenizer joins and splits text as it likes", async () => {
    const joined = (text: string): number => Math.ceil(Buffer.byteLength(text) / 3) + 2;
    await fc.assert(
      fc.asyncProperty(documents[0]?.[1] ?? fc.constant("x"), async (content) => {
        fc.pre(/[^\s\p{Cc}\p{Cf}]/u.test(content));
        await checkChunks("notes.md", content, { maxTokens: 64, overlapTokens: 10 }, joined);
      }),
      { numRuns: 100 },
    );
  });
});

describe("cutting", () => {
  test("a giant word without blanks is cut even where the tokenizer counts it as one token", async () => {
    const one = (text: string): number => text.match(/\S+/g)?.length ?? 0;
    const read = readDocument({ bytes: Buffer.from("x".repeat(100_000)), key: "word.txt" });
    const { chunks } = await chunkDocument(read, limits, one);
    expect(chunks.length).toBeGreaterThan(100);
    expect(chunks.at(-1)?.to).toBe(100_000);
  });

  test("a long paragraph repeats some words at each cut, at word borders; short ones do not", async () => {
    const text = Array.from({ length: 200 }, (_, index) => `w${index}`).join(" ");
    const chunks = await chunk("long.txt", text);
    expect(chunks.length).toBeGreaterThan(4);
    for (const [index, each] of chunks.entries()) {
      const next = chunks[index + 1];
      if (next === undefined) continue;
      const repeated = text.slice(next.from, each.to);
      expect(repeated.split(" ").length).toBeGreaterThanOrEqual(4);
      expect(repeated.split(" ").length).toBeLessThanOrEqual(8);
      expect(text[next.from - 1]).toBe(" ");
    }
    const paragraphs = Array.from({ length: 20 }, (_, index) => `p${index} ${"word ".repeat(15)}`);
    const whole = await chunk("short.txt", paragraphs.join("\n\n"));
    for (const [index, each] of whole.entries()) {
      expect(each.from).toBeGreaterThanOrEqual(whole[index - 1]?.to ?? 0);
    }
  });

  test("characters that give no token stay with their neighbours", async () => {
    const chunks = await chunk(
      "a.md",
      "\u200b\n\n# One\n\ntext\n\n\u200d\u200b\n\n# Two\n\ntext\n\n\u0301\n",
    );
    expect(chunks.map((each) => [each.fromLine, each.toLine])).toEqual([
      [1, 7],
      [9, 13],
    ]);
  });

  test("counts each part of a long document a few times at most", async () => {
    const text = "Some words of a sentence that goes on. ".repeat(20_000);
    let counted = 0;
    const read = readDocument({ bytes: Buffer.from(text), key: "long.txt" });
    await chunkDocument(read, { maxTokens: 384, overlapTokens: 48 }, (part) => {
      counted += part.length;
      return countTokens(part);
    });
    expect(counted).toBeLessThan(text.length * 4);
  });

  test("a document of headings alone is refused at the limit of chunks", async () => {
    const read = readDocument({ bytes: Buffer.from("# a\nb\n".repeat(60_000)), key: "a.md" });
    await expect(chunkDocument(read, limits, countTokens)).rejects.toMatchObject({
      code: "input_invalid",
      message: expect.stringContaining("50000 chunks"),
    });
  });

  test("limits that no chunk could keep are refused", async () => {
    const read = readDocument({ bytes: Buffer.from("text"), key: "a.md" });
    for (const wrong of [
      { maxTokens: 15, overlapTokens: 0 },
      { maxTokens: 40.5, overlapTokens: 0 },
      { maxTokens: 40, overlapTokens: 21 },
      { maxTokens: 40, overlapTokens: -1 },
    ]) {
      await expect(chunkDocument(read, wrong, countTokens)).rejects.toMatchObject({
        code: "input_invalid",
      });
    }
  });

  test("the key of a chunk depends on what is embedded and on nothing else", () => {
    expect(chunkKey("text")).toMatch(/^[0-9a-f]{64}$/);
    expect(chunkKey("text")).toBe(chunkKey("text"));
    expect(chunkKey("text")).not.toBe(chunkKey("text "));
  });
});

describe("deep nesting overflows no stack", () => {
  test.each([
    ["a.ts", "(".repeat(100_000) + ")".repeat(100_000)],
    ["a.js", "[".repeat(100_000)],
    ["a.py", "x = " + "(".repeat(100_000) + ")".repeat(100_000)],
    ["a.cpp", "namespace a {".repeat(20_000) + "}".repeat(20_000)],
    ["a.ts", "function f() { ".repeat(10_000) + "}".repeat(10_000)],
  ])("nesting of 10,000 levels and more in %s overflows no stack", async (key, content) => {
    await checkChunks(key, content, { maxTokens: 384, overlapTokens: 48 });
  });

  test("JSON nested 100,000 levels deep is chunked", async () => {
    const text = "[".repeat(100_000) + "1" + "]".repeat(100_000);
    await checkChunks("deep.json", text, { maxTokens: 384, overlapTokens: 48 });
  });
});
