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

describe("rows and values", () => {
  test("rows of CSV stay whole, and the header is embedded with each chunk but shown only in the first", async () => {
    const rows = Array.from({ length: 30 }, (_, index) => `${index},"a\nb",value`);
    const text = `id,text,note\n${rows.join("\n")}\n`;
    const chunks = await chunk("a.csv", text);
    expect(chunks.length).toBeGreaterThan(2);
    for (const [index, each] of chunks.entries()) {
      expect(each.embeddedText.startsWith("id,text,note\n")).toBe(true);
      expect(each.heading).toEqual([]);
      const shown = text.slice(each.from, each.to);
      expect(shown).toMatch(index === 0 ? /^id,text/ : /^\d+,"a\nb",value/);
      expect(shown).toMatch(/value$/);
    }
  });

  test("members of JSON are cut by their keys, level by level", async () => {
    const text = JSON.stringify(
      {
        name: "x",
        servers: { first: { note: "word ".repeat(25) }, second: { note: "word ".repeat(25) } },
      },
      null,
      2,
    );
    const chunks = await chunk("a.json", text);
    expect(chunks.map((each) => each.heading.join("/"))).toContain("servers/second");
    const second = chunks.find((each) => each.heading[1] === "second");
    expect(second?.embeddedText).toMatch(/^servers\n {4}"second"/);
  });

  test("lines of JSONL stay whole", async () => {
    const text = Array.from({ length: 40 }, (_, id) => JSON.stringify({ id, text: "[a, {b" })).join(
      "\n",
    );
    for (const each of await chunk("a.jsonl", text)) {
      const shown = text.slice(each.from, each.to);
      for (const line of shown.split("\n")) expect(() => JSON.parse(line)).not.toThrow();
    }
  });
});
