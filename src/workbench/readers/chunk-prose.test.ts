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

describe("a Markdown document", () => {
  const guide = [
    "---",
    "title: The guide",
    "---",
    "# Backups",
    "",
    "Copies are made at night.",
    "",
    "## Restore",
    "",
    "Stop the server first.",
    "",
    "Then copy the file back.",
    "",
    "```sh",
    "# not a heading",
    "cp a b",
    "```",
    "",
    "Underlined",
    "==========",
    "",
    "Text below it.",
  ].join("\n");

  test("is cut by sections, each with its heading chain; headings are embedded once", async () => {
    const chunks = await chunk("guide.md", guide);
    expect(chunks.map((each) => each.heading)).toEqual([
      [],
      ["Backups"],
      ["Backups", "Restore"],
      ["Underlined"],
    ]);
    expect(chunks[2]?.embeddedText).toMatch(/^Backups\n## Restore\n\nStop/);
    expect(chunks[2]?.embeddedText).toContain("# not a heading");
    expect(chunks[2]).toMatchObject({ fromLine: 8, toLine: 17 });
  });

  test("keeps a heading with the text that follows, also through empty sections", async () => {
    const chunks = await chunk("a.md", "# One\n\n## Two\n\n### Three\n\ntext\n\n# Four\n");
    expect(chunks.map((each) => [each.heading, each.fromLine, each.toLine])).toEqual([
      [["One", "Two", "Three"], 1, 7],
      [["Four"], 9, 9],
    ]);
    expect(chunks[0]?.embeddedText.startsWith("# One")).toBe(true);
  });

  test("shortens a heading chain to a quarter of the tokens", async () => {
    const title = "very long heading made of many words ".repeat(5);
    const text = `# ${title}\n\n## ${title}\n\n${"word ".repeat(300)}`;
    const chunks = await chunk("a.md", text);
    const last = chunks.at(-1);
    expect(last?.heading).toHaveLength(2);
    const prefix = last?.embeddedText.split("\n")[0] ?? "";
    expect(prefix).toMatch(/^very long heading/);
    expect(countTokens(prefix)).toBeLessThanOrEqual(10);
  });

  test("packs small paragraphs and does not divide a code block that fits", async () => {
    const code = `\`\`\`\n${"line of code\n\n".repeat(6)}\`\`\``;
    const chunks = await chunk(
      "a.md",
      `one two\n\nthree four\n\nfive six\n\n${"word ".repeat(25)}\n\n${code}\n`,
    );
    const holding = chunks.filter((each) => each.embeddedText.includes("line of code"));
    expect(holding).toHaveLength(1);
    expect(chunks[0]?.embeddedText).toContain("three four\n\nfive six");
  });
});
