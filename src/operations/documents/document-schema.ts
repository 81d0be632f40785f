import { z } from "zod";
import { freshnessSchema, keySchema, locationSchema, namedSchema } from "../shapes.ts";

export const documentSchema = z.object({
  id: z.string(),
  key: z.string(),
  collection: z.string(),
  title: z.string().nullable(),
  mediaType: z.string(),
  source: z.object({
    kind: z.enum(["file", "upload", "text", "url"]),
    path: z.string().optional(),
    url: z.string().optional(),
  }),
  bytes: z.int(),
  sha256: z.string(),
  metadata: z.record(z.string(), z.unknown()),
  chunks: z.union([
    z.int(),
    z.array(z.object({ id: z.string(), text: z.string(), location: locationSchema })),
  ]),
  indexedAt: z.string(),
  freshness: freshnessSchema,
});

/** What a caller says of a document it adds. */
export const documentFields = {
  content: z.string().min(1).optional().describe("The text"),
  key: keySchema.optional().describe("Your id or relative path; unique in the collection"),
  mediaType: z
    .string()
    .min(3)
    .max(200)
    .optional()
    .describe("What the content is, such as text/markdown"),
  title: z.string().min(1).max(500).optional(),
  metadata: z
    .record(z.string().min(1).max(100), z.unknown())
    .optional()
    .describe("Your own fields, at most 16 KiB as JSON"),
};

/** A file as the door hands it in: its bytes are never JSON. */
export const fileField = z.custom<{ bytes: Uint8Array; name: string; mediaType: string | null }>(
  (value) =>
    typeof value === "object" &&
    value !== null &&
    "bytes" in value &&
    value.bytes instanceof Uint8Array,
  "is a file sent as multipart/form-data",
);

export const documentField = namedSchema.describe("Id or key of the document");
