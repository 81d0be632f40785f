import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { queryFields, ranksSchema, scoresSchema } from "./query.ts";

const placeSchema = z.object({ text: z.string(), from: z.int(), to: z.int() });

export const searchExplain = defineOperation({
  name: "search.explain",
  summary: "Explain a hit: each word’s part of bm25, each token pair’s part of the cosine",
  input: z.strictObject({
    ...queryFields,
    chunk: z.string().min(1).max(100).describe("The hit’s chunk id"),
  }),
  output: z.object({
    chunk: z.string(),
    scores: scoresSchema,
    ranks: ranksSchema,
    weight: z.number(),
    keyword: z
      .object({
        terms: z.array(
          z.object({
            term: z.string(),
            stem: z.string(),
            idf: z.number(),
            tf: z.int(),
            score: z.number(),
            column: z.string(),
          }),
        ),
        dropped: z.array(z.string()),
      })
      .nullable(),
    semantic: z
      .object({
        cosine: z.number(),
        pairs: z
          .array(z.object({ query: placeSchema, passage: placeSchema, share: z.number() }))
          .nullable(),
        otherShare: z.number(),
        sum: z.number(),
      })
      .nullable(),
    fused: z
      .object({ semanticScaled: z.number(), keywordScaled: z.number(), value: z.number() })
      .nullable(),
  }),
  effect: "read",
  permission: { role: "read_only", grant: { on: "collections", right: "read" } },
  http: { method: "POST", path: "/search/explain" },
  cli: null,
  run: async ({ app, input, scope, signal, notice }) =>
    app.search.explain(scope, input, { signal, notice }),
});
