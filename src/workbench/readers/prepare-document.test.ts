import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { chunkKey } from "./chunk-document.ts";
import { prepareDocument } from "./prepare-document.ts";

const limits = { maxTokens: 384, overlapTokens: 48 };
const words = (text: string): number => text.match(/\S+/g)?.length ?? 0;

test("a document comes back with its text, hash, chunks, keys and identifiers", async () => {
  const bytes = Buffer.from("# Guide\n\nCall parseHeader twice.\n");
  const prepared = await prepareDocument({ bytes, key: "docs/guide.md" }, limits, words);
  expect(prepared).toMatchObject({
    text: bytes.toString(),
    title: "Guide",
    mediaType: "text/markdown",
    format: "markdown",
    language: null,
    bytes: bytes.length,
    sha256: createHash("sha256").update(bytes).digest("hex"),
    fellBackToLines: null,
  });
  const embeddedText = "# Guide\n\nCall parseHeader twice.";
  expect(prepared.chunks).toEqual([
    {
      ordinal: 0,
      from: 0,
      to: embeddedText.length,
      fromLine: 1,
      toLine: 3,
      heading: ["Guide"],
      embeddedText,
      tokens: 5,
      key: chunkKey(embeddedText),
      identifiers: "parse header",
    },
  ]);
});

test("a renamed or copied file has the same chunk keys; only the text counts", async () => {
  const bytes = Buffer.from("export function readFile(): number {\n  return 1;\n}\n");
  const one = await prepareDocument({ bytes, key: "src/a.ts" }, limits, words);
  const other = await prepareDocument({ bytes, key: "copy/of/b.ts" }, limits, words);
  expect(other.chunks.map((chunk) => chunk.key)).toEqual(one.chunks.map((chunk) => chunk.key));
});

test("code without a grammar says so", async () => {
  const bytes = Buffer.from("def f\n  1\nend\n");
  const prepared = await prepareDocument({ bytes, key: "a.rb" }, limits, words);
  expect(prepared).toMatchObject({ language: "ruby", fellBackToLines: "no grammar for ruby" });
});
