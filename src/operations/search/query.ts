import { z } from "zod";
import { filterOperators, searchModes } from "#workbench/search/index.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import { defineOperation } from "../define-operation.ts";
import { freshnessSchema, locationSchema } from "../shapes.ts";

const scalar = z.union([z.string().max(2000), z.number(), z.boolean(), z.null()]);

const leafSchema = z.strictObject({
  field: z.string().min(1).max(200),
  op: z.enum(filterOperators),
  value: z.union([scalar, z.array(scalar).max(1000)]).optional(),
});

export type FilterInput =
  | z.output<typeof leafSchema>
  | { and: FilterInput[] }
  | { or: FilterInput[] };

const filterSchema: z.ZodType<FilterInput> = z.lazy(() =>
  z.union([
    leafSchema,
    z.strictObject({ and: z.array(filterSchema).min(1).max(50) }),
    z.strictObject({ or: z.array(filterSchema).min(1).max(50) }),
  ]),
);

/** Fields that `search.query` and `search.explain` share. */
export const queryFields = {
  query: z
    .string()
    .min(1)
    .max(2000)
    .regex(/\S/u, "has something beside blanks")
    .describe("What you look for, in words or as a question"),
  collections: z
    .array(z.string().min(1).max(200))
    .min(1)
    .max(50)
    .optional()
    .describe("Ids or names; all you may read in the default space without"),
  mode: z.enum(searchModes).default("hybrid").describe("Meaning and words, or one of them"),
  weight: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe("Weight of meaning in hybrid mode; the space’s measured one, else 0.5"),
};

const legScores = {
  semantic: z.number().optional(),
  keyword: z.number().optional(),
};

export const scoresSchema = z.object({ fused: z.number().optional(), ...legScores });
export const ranksSchema = z.object(legScores);

const hitSchema = z.object({
  chunk: z.string(),
  document: z.string(),
  collection: z.string(),
  key: z.string(),
  title: z.string().nullable(),
  snippet: z.string(),
  highlights: z.array(z.tuple([z.int(), z.int()])),
  location: locationSchema,
  scores: scoresSchema,
  ranks: ranksSchema,
  freshness: freshnessSchema,
});

const positionSchema = z.object({ offset: z.int(), state: z.string() });

export const searchQuery = defineOperation({
  name: "search.query",
  summary: "Search collections by keywords and meaning",
  input: z.strictObject({
    ...queryFields,
    minScore: z
      .number()
      .optional()
      .describe("Least cosine (semantic), fused score (hybrid) or minus bm25 (keyword)"),
    filter: filterSchema.optional().describe("Conditions on document fields"),
    context: z
      .string()
      .min(1)
      .max(4000)
      .optional()
      .describe("Embedded with the query for the semantic leg only"),
    limit: z.int().min(1).max(100).default(10).describe("Hits of one page"),
    cursor: z.string().max(2000).optional().describe("nextCursor of the page before"),
  }),
  output: z.object({
    items: z.array(hitSchema),
    nextCursor: z.string().nullable(),
    legs: z.array(
      z.object({
        name: z.enum(["semantic", "keyword"]),
        state: z.enum(["run", "skipped", "failed"]),
        candidates: z.int(),
        approximate: z.boolean(),
        reason: z.string().optional(),
      }),
    ),
    weight: z.number(),
    space: z.object({ id: z.string(), name: z.string() }),
    searched: z.object({ collections: z.int(), documents: z.int(), chunks: z.int() }),
  }),
  effect: "read",
  permission: { role: "read_only", grant: { on: "collections", right: "read" } },
  http: { method: "POST", path: "/search" },
  cli: { command: "search <query>" },
  tools: [
    { name: "search_documents" },
    { name: "semantic_search", fixed: { mode: "semantic" } },
    { name: "hybrid_search", fixed: { mode: "hybrid" }, rename: { weight: "semantic_weight" } },
  ],
  run: async ({ app, input, scope, signal, notice }) => {
    const { cursor, ...query } = input;
    const secretKey = app.configuration.config.security.secretKey;
    const bound = { name: "search.query", scope: scope.principal, ...query };
    const position =
      cursor === undefined ? null : positionSchema.parse(decodeCursor(secretKey, bound, cursor));
    const { answer, next } = await app.search.query(scope, query, position, { signal, notice });
    return { ...answer, nextCursor: next && encodeCursor(secretKey, bound, next) };
  },
});
