import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const quality = join(import.meta.dirname, "quality");

const setSchema = z.strictObject({
  queries: z.array(
    z.strictObject({
      id: z.string(),
      split: z.enum(["development", "test"]),
      kind: z.enum(["paraphrase", "question", "keyword", "mixed"]),
      query: z.string(),
      relevant: z.array(
        z.strictObject({
          file: z.string(),
          heading: z.string().optional(),
          symbol: z.string().optional(),
          grade: z.union([z.literal(1), z.literal(2)]),
        }),
      ),
    }),
  ),
});

type SetName = "documents" | "code";

export type LabelledQuery = {
  readonly id: string;
  readonly split: "development" | "test";
  readonly kind: "paraphrase" | "question" | "keyword" | "mixed";
  readonly query: string;
  /** The highest grade of each file that is listed for the query. */
  readonly grades: ReadonlyMap<string, number>;
};

export type LabelledSet = {
  readonly name: SetName;
  readonly folder: string;
  readonly queries: readonly LabelledQuery[];
};

/** One labelled set, scored per file; its format and provenance stand in quality/README.md. */
export function readLabelledSet(name: SetName): LabelledSet {
  const { queries } = setSchema.parse(
    JSON.parse(readFileSync(join(quality, `${name}.json`), "utf8")),
  );
  return {
    name,
    folder: join(quality, name),
    queries: queries.map(({ relevant, ...query }) => {
      const grades = new Map<string, number>();
      for (const { file, grade } of relevant)
        grades.set(file, Math.max(grade, grades.get(file) ?? 0));
      return { ...query, grades };
    }),
  };
}
