import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Candidate, compareIds, fuse } from "./fuse.ts";

const ids = (fused: readonly { id: string }[]) => fused.map(({ id }) => id);

describe("by hand", () => {
  test("the weighted sum of min-max scaled scores", () => {
    const fused = fuse(
      [
        { id: "a", semantic: 0.9, keyword: 2 },
        { id: "b", semantic: 0.5, keyword: 8 },
        { id: "c", semantic: 0.1 },
      ],
      0.25,
    );
    expect(fused).toEqual([
      { id: "b", semantic: 0.5, keyword: 8, semanticScaled: 0.5, keywordScaled: 1, fused: 0.875 },
      { id: "a", semantic: 0.9, keyword: 2, semanticScaled: 1, keywordScaled: 0.25, fused: 0.4375 },
      { id: "c", semantic: 0.1, semanticScaled: 0, keywordScaled: 0, fused: 0 },
    ]);
  });

  test("one candidate, and equal scores, scale to 1", () => {
    expect(fuse([{ id: "a", semantic: -0.2, keyword: 3 }], 0.5)[0]?.fused).toBe(1);
    const equal = fuse(
      [
        { id: "b", semantic: 0.3 },
        { id: "a", semantic: 0.3 },
      ],
      0.5,
    );
    expect(equal.map(({ id, fused }) => [id, fused])).toEqual([
      ["a", 0.5],
      ["b", 0.5],
    ]);
  });

  test("a leg without any candidate gives nothing, and nothing stays nothing", () => {
    expect(fuse([{ id: "a", keyword: 3 }], 0.7)[0]).toMatchObject({
      semanticScaled: 0,
      keywordScaled: 1,
    });
    expect(fuse([{ id: "a" }], 0.7)[0]?.fused).toBe(0);
    expect(fuse([], 0.5)).toEqual([]);
  });

  test("scores so close that scaling makes them equal keep their order where one leg has all the weight", () => {
    const tiny = Number.MIN_VALUE;
    const close = [
      { id: "a", semantic: tiny, keyword: 1 },
      { id: "b", semantic: 2 * tiny, keyword: 1 + Number.EPSILON },
      { id: "z", semantic: 1, keyword: 1e10 },
    ];
    expect(ids(fuse(close, 1))).toEqual(["z", "b", "a"]);
    expect(ids(fuse(close, 0))).toEqual(["z", "b", "a"]);
  });
});

describe("for any candidates", () => {
  const score = fc.double({ min: -1, max: 1, noNaN: true });
  const bm25 = fc.double({ min: 1e-9, max: 60, noNaN: true });
  const candidates = fc
    .uniqueArray(
      fc.record(
        { id: fc.string({ minLength: 1, maxLength: 4 }), semantic: score, keyword: bm25 },
        { requiredKeys: ["id"] },
      ),
      { selector: ({ id }) => id, maxLength: 40 },
    )
    .map((list): Candidate[] => list);
  const weight = fc.double({ min: 0, max: 1, noNaN: true });

  const legOrder = (list: readonly Candidate[], leg: "semantic" | "keyword") =>
    ids(
      list
        .filter((candidate) => candidate[leg] !== undefined)
        .toSorted((a, b) => (b[leg] ?? 0) - (a[leg] ?? 0) || compareIds(a.id, b.id)),
    );

  test("weight 1 is exactly the semantic order and weight 0 exactly the keyword order", () => {
    fc.assert(
      fc.property(candidates, (list) => {
        for (const [at, leg] of [
          [1, "semantic"],
          [0, "keyword"],
        ] as const) {
          const wanted = legOrder(list, leg);
          expect(ids(fuse(list, at)).slice(0, wanted.length)).toEqual(wanted);
        }
      }),
    );
  });

  test("the values lie in 0…1, fall, follow the formula, and ties go by id", () => {
    fc.assert(
      fc.property(candidates, weight, (list, at) => {
        const fused = fuse(list, at);
        expect(ids(fused).toSorted(compareIds)).toEqual(ids(list).toSorted(compareIds));
        for (const [index, one] of fused.entries()) {
          const { semanticScaled, keywordScaled } = one;
          expect(one.fused).toBe(at * semanticScaled + (1 - at) * keywordScaled);
          expect(Math.min(one.fused, semanticScaled, keywordScaled)).toBeGreaterThanOrEqual(0);
          expect(Math.max(one.fused, semanticScaled, keywordScaled)).toBeLessThanOrEqual(1);
          const next = fused[index + 1];
          if (!next) continue;
          expect(next.fused).toBeLessThanOrEqual(one.fused);
          if (next.fused === one.fused && at > 0 && at < 1)
            expect(compareIds(one.id, next.id)).toBe(-1);
        }
      }),
    );
  });

  test("the order in which candidates come changes nothing", () => {
    fc.assert(
      fc.property(candidates, weight, (list, at) => {
        expect(fuse(list.toReversed(), at)).toEqual(fuse(list, at));
      }),
    );
  });
});
