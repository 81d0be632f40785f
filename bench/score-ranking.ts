import type { LabelledQuery } from "./labelled-sets.ts";
import { percentile } from "./measurement.ts";
import { seededRandom } from "./seeded-random.ts";

/** Places of a ranking that are scored. */
export const scoredPlaces = 10;

/** What one ranking is worth, each 0…1. */
export type Scores = { readonly recall: number; readonly mrr: number; readonly ndcg: number };

export const measures = ["recall", "mrr", "ndcg"] as const;
export type Measure = (typeof measures)[number];

/** The grade that answers the query; lower ones only help. */
const answer = 2;

/**
 * Scores files in ranked order. Recall and reciprocal rank count the files that answer (grade 2); nDCG takes all grades, with
 * gain 2^grade − 1 and discount log2(rank + 1) (Järvelin and Kekäläinen 2002; gain of Burges et al. 2005).
 */
export function scoreRanking(ranking: readonly string[], grades: LabelledQuery["grades"]): Scores {
  const files = ranking.slice(0, scoredPlaces);
  const answers = [...grades.values()].filter((grade) => grade >= answer).length;
  const isAnswer = (file: string) => (grades.get(file) ?? 0) >= answer;
  const first = files.findIndex(isAnswer);
  const ideal = [...grades.values()].toSorted((a, b) => b - a).slice(0, scoredPlaces);
  return {
    recall: files.filter(isAnswer).length / answers,
    mrr: first < 0 ? 0 : 1 / (first + 1),
    ndcg: gainOf(files.map((file) => grades.get(file) ?? 0)) / gainOf(ideal),
  };
}

function gainOf(grades: readonly number[]): number {
  return grades.reduce((sum, grade, index) => sum + (2 ** grade - 1) / Math.log2(index + 2), 0);
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Resamples of one interval. */
const resamples = 2000;

/** The 95 % interval of the mean: percentile bootstrap over queries, seeded (Efron 1979). */
export function bootstrapInterval(values: readonly number[]): { low: number; high: number } {
  const random = seededRandom(95);
  const means = Array.from({ length: resamples }, () => {
    let sum = 0;
    for (let draw = 0; draw < values.length; draw += 1)
      sum += values[Math.floor(random() * values.length)] ?? 0;
    return sum / values.length;
  });
  return { low: percentile(means, 0.025), high: percentile(means, 0.975) };
}
