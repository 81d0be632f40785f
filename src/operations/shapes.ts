import { z } from "zod";
import { jobStates } from "#base/jobs/index.ts";

/** Schemas that several operations share; the shapes every door shows. */

export const nameSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9_-]{0,63}$/,
    "1 to 64 of a–z, 0–9, _ and -, beginning with a letter or digit",
  );

/** An id or a name, as paths take it. */
export const namedSchema = z.string().min(1).max(512);

/** A caller's own name for a document: an id or a relative path. */
export const keySchema = z
  .string()
  .min(1)
  .max(512)
  .refine((key) => !hasControlCharacters(key), "has no control characters");

export const problemSchema = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string().nullable(),
  code: z.string(),
  severity: z.string(),
  retryable: z.boolean(),
});

export const jobSchema = z.object({
  id: z.string(),
  kind: z.string(),
  state: z.enum(jobStates),
  owner: z.string(),
  target: z.object({ type: z.string(), id: z.string() }),
  phase: z.string().nullable(),
  unit: z.string(),
  total: z.int().nullable(),
  done: z.int(),
  failed: z.int(),
  skipped: z.int(),
  rate: z.number().nullable(),
  etaSeconds: z.int().nullable(),
  attempt: z.int(),
  resumable: z.boolean(),
  error: problemSchema.nullable(),
  result: z.unknown(),
  sequence: z.int(),
  createdAt: z.string(),
  startedAt: z.string().nullable(),
  finishedAt: z.string().nullable(),
});

export const spaceBriefSchema = z.object({
  id: z.string(),
  name: z.string(),
  dims: z.int(),
  modelRevision: z.string(),
});

/** A password or token in an input: the command line asks for it instead of taking it as an argument. */
export const secretField = (longest: number) =>
  z.string().min(1).max(longest).meta({ writeOnly: true });

export const rightSchema = z.enum(["owner", "write", "read"]);

export const countsSchema = z.object({
  documents: z.int(),
  chunks: z.int(),
  vectors: z.int(),
  bytes: z.int(),
});

export const deletedSchema = z.object({
  deleted: countsSchema,
  dependents: z.array(z.object({ type: z.string(), count: z.int() })),
  dryRun: z.boolean(),
  undo: z.object({ until: z.string(), trash: z.string() }).nullable(),
});

export const freshnessSchema = z.object({
  state: z.enum(["current", "stale", "unknown"]),
  indexedAt: z.string(),
});

const rangeSchema = z.object({ from: z.int(), to: z.int() });

export const locationSchema = z.object({
  lines: rangeSchema.optional(),
  characters: rangeSchema,
});

function hasControlCharacters(text: string): boolean {
  return /\p{Cc}/u.test(text);
}
