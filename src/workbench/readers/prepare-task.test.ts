import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { createWorkers } from "#base/workers/index.ts";
import { openTokenizer } from "#engine/runtimes/index.ts";
import type { PreparedDocument } from "./prepare-document.ts";

const tokenizerFolder = fileURLToPath(
  new URL("../../../assets/candor-static-256", import.meta.url),
);
const workers = createWorkers({ onFault: () => undefined });
const pool = workers.pool({
  name: "prepare",
  task: new URL("./prepare-task.ts", import.meta.url),
  size: 1,
  memoryMegabytes: 512,
  idleMs: 1_000,
  openData: { tokenizerFolder },
});
afterAll(() => workers.dispose());

const limits = { maxTokens: 384, overlapTokens: 48 };

async function prepare(key: string, bytes: Uint8Array): Promise<PreparedDocument> {
  const payload = { bytes, key, limits };
  return (await pool.run("prepare", payload, { timeoutMs: 60_000 })) as PreparedDocument;
}

test("a worker prepares source code with the tokenizer of the shipped model", async () => {
  const file = fileURLToPath(new URL("./chunk-code.ts", import.meta.url));
  const prepared = await prepare("chunk-code.ts", readFileSync(file));
  expect(prepared).toMatchObject({ format: "code", language: "typescript", fellBackToLines: null });
  expect(prepared.chunks.length).toBeGreaterThan(5);
  const tokenizer = await openTokenizer(tokenizerFolder);
  for (const chunk of prepared.chunks) {
    expect(chunk.tokens).toBe(tokenizer.count(chunk.embeddedText));
    expect(chunk.tokens).toBeLessThanOrEqual(limits.maxTokens);
  }
  expect(prepared.chunks.map((chunk) => chunk.heading[0])).toContain("walkTree");
});

test("a document that cannot be read is the typed error on the calling side, and the worker goes on", async () => {
  await expect(prepare("a.json", Buffer.from("{"))).rejects.toMatchObject({
    code: "format_invalid",
  });
  await expect(prepare("a.md", Buffer.from(" "))).rejects.toMatchObject({ code: "document_empty" });
  expect((await prepare("a.md", Buffer.from("# Title\n\ntext"))).title).toBe("Title");
});
