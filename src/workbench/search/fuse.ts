/** A candidate of a hybrid query with what each leg said of it; a leg that did not rank it is absent. */
export type Candidate = {
  readonly id: string;
  readonly semantic?: number;
  readonly keyword?: number;
};

export type Fused = Candidate & {
  readonly fused: number;
  readonly semanticScaled: number;
  readonly keywordScaled: number;
};

/**
 * Weighted sum of min-max scaled scores over the query's candidates: w·minmax(cosine) + (1 − w)·minmax(bm25)
 * (convex combination; Bruch, Gai and Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval"). A candidate
 * that a leg did not rank has 0 there; equal scores scale to 1. Best first, ties by id. With all weight on one leg the
 * order is that leg's own, also of scores so close that scaling makes them equal.
 */
export function fuse(candidates: readonly Candidate[], weight: number): Fused[] {
  const semantic = scaler(candidates.map((candidate) => candidate.semantic));
  const keyword = scaler(
    candidates.map((candidate) => candidate.keyword ?? 0),
    candidates.some((candidate) => candidate.keyword !== undefined),
  );
  const fused = candidates.map((candidate) => {
    const semanticScaled = candidate.semantic === undefined ? 0 : semantic(candidate.semantic);
    const keywordScaled = candidate.keyword === undefined ? 0 : keyword(candidate.keyword);
    return {
      ...candidate,
      semanticScaled,
      keywordScaled,
      fused: weight * semanticScaled + (1 - weight) * keywordScaled,
    };
  });
  const only = weight === 1 ? "semantic" : weight === 0 ? "keyword" : null;
  const own = (entry: Fused) => (only && entry[only]) ?? -Infinity;
  const compareOwn = (a: Fused, b: Fused) => (own(a) === own(b) ? 0 : own(b) > own(a) ? 1 : -1);
  return fused.sort((a, b) => b.fused - a.fused || compareOwn(a, b) || compareIds(a.id, b.id));
}

/** Scales to 0…1 by the least and greatest given score; all equal scale to 1. */
function scaler(scores: readonly (number | undefined)[], any = true): (score: number) => number {
  let least = Infinity;
  let greatest = -Infinity;
  for (const score of scores) {
    if (score === undefined) continue;
    least = Math.min(least, score);
    greatest = Math.max(greatest, score);
  }
  if (!any) return () => 0;
  return (score) => (greatest === least ? 1 : (score - least) / (greatest - least));
}

/** The order of ids everywhere in search: plain code units. */
export function compareIds(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
