import { expect, test } from "vitest";
import { renderSearch, type Hit } from "./render-search.ts";
import type { Output } from "./terminal.ts";

const plain: Output = {
  isTerminal: false,
  columns: null,
  stream: process.stdout,
  line: () => {},
  style: (style, text) => (style === "bold" ? `*${text}*` : text),
};

const hit: Hit = {
  chunk: "chk_1",
  collection: "col_1",
  key: "ops/restore.md",
  title: "Restoring\u001b[2J",
  snippet: "To restore a\nbackup, stop.",
  highlights: [
    [13, 19],
    [3, 10],
  ],
  location: { lines: { from: 5, to: 7 }, characters: { from: 80, to: 120 } },
  scores: { fused: 0.8714, semantic: 0.652 },
  ranks: { semantic: 1 },
  freshness: { state: "stale", indexedAt: "2026-01-02T03:04:05.000Z" },
};

const answer = {
  items: [hit],
  nextCursor: "next",
  legs: [
    { name: "semantic", state: "run", candidates: 12, approximate: false },
    { name: "keyword", state: "failed", candidates: 0, approximate: false, reason: "broken" },
  ],
  weight: 0.5,
  space: { id: "spc_1", name: "static" },
  searched: { collections: 1, documents: 3, chunks: 12 },
  tookMs: 4.2,
};
const nothing = { names: new Map(), explanations: new Map() };

test("a hit shows place, scores with ranks, freshness and its snippet, and no control character", () => {
  const [head, scores, snippet] = renderSearch(answer, nothing, plain).split("\n");
  expect(head).toBe("1. ops/restore.md:5-7*  Restoring␛[2J*");
  expect(scores).toMatch(
    /^ {3}fused 0\.871 · semantic 0\.652 \(rank 1\) · stale, indexed 2026-01-0\d \d\d:04:05$/,
  );
  expect(snippet).toBe("   To *restore* a *backup*, stop.");
});

test("what was searched, how each leg went and the next page are said", () => {
  expect(renderSearch(answer, nothing, plain)).toContain(
    "searched 12 chunks of 3 documents in 1 collection · semantic 12 candidates · keyword failed (broken) · weight of meaning 0.5 · space static · 4.2 ms\nmore: add --cursor next",
  );
});

test("nothing found is said, and hits of several collections name theirs", () => {
  expect(renderSearch({ ...answer, items: [] }, nothing, plain)).toMatch(/^nothing found\n/);
  const names = new Map([["col_1", "handbook"]]);
  expect(renderSearch(answer, { ...nothing, names }, plain)).toContain("[handbook]");
});
