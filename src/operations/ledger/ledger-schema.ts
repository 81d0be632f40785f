import { z } from "zod";

export const ledgerEntrySchema = z.object({
  id: z.string(),
  runId: z.string(),
  time: z.string(),
  severity: z.string(),
  category: z.string(),
  code: z.string(),
  type: z.string(),
  message: z.string(),
  stack: z.string(),
  context: z.record(z.string(), z.unknown()),
  item: z.string().nullable(),
  jobId: z.string().nullable(),
  correlationId: z.string().nullable(),
  principal: z.string().nullable(),
  operation: z.string().nullable(),
  method: z.string().nullable(),
  endpoint: z.string().nullable(),
  source: z.object({ file: z.string(), line: z.int() }).nullable(),
  fingerprint: z.string(),
  unexpected: z.boolean(),
  resolved: z.boolean(),
  resolution: z.object({ by: z.string(), at: z.string(), notes: z.string() }).nullable(),
});

export const entryField = z.string().min(1).max(100).describe("Id of the entry");
