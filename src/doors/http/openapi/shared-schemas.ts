import { categories, noticeCatalogue, severities } from "#base/errors/index.ts";
import { componentReference, type Schema } from "./schemas.ts";

const nullable = (type: "string"): Schema => ({ anyOf: [{ type }, { type: "null" }] });

/** The shapes that no operation defines because every door shares them. */
export const sharedSchemas: Readonly<Record<string, Schema>> = {
  Problem: {
    type: "object",
    description: "An error (RFC 9457). `code` is what programs branch on.",
    properties: {
      type: { type: "string", description: "The page that explains the code" },
      title: { type: "string" },
      status: { type: "integer" },
      detail: { type: "string", description: "This very case" },
      instance: { ...nullable("string"), description: "urn:candor: and the ledger entry" },
      code: { type: "string" },
      severity: { type: "string", enum: [...severities] },
      retryable: { type: "boolean" },
      retryAfterMs: { type: "number" },
      errors: {
        type: "array",
        items: {
          type: "object",
          properties: {
            pointer: { type: "string", description: "JSON pointer (RFC 6901) to the bad field" },
            message: { type: "string" },
            valid: { type: "array", items: {} },
          },
          required: ["pointer", "message"],
        },
      },
      nextStep: {
        type: "object",
        properties: { text: { type: "string" }, operation: { type: "string" }, input: {} },
        required: ["text"],
      },
      details: { type: "object", additionalProperties: true },
      requestId: nullable("string"),
    },
    required: [
      "type",
      "title",
      "status",
      "detail",
      "instance",
      "code",
      "severity",
      "retryable",
      "requestId",
    ],
  },
  Notice: {
    type: "object",
    description: "A remark on a successful answer that is less than, or other than, what was asked",
    properties: {
      code: { type: "string", enum: Object.keys(noticeCatalogue) },
      message: { type: "string" },
      details: { type: "object", additionalProperties: true },
    },
    required: ["code", "message"],
  },
};

/** What the door adds to every answer. */
export const envelope: Record<string, Schema> = {
  notices: { type: "array", items: { $ref: componentReference("Notice") } },
  requestId: { type: "string" },
  tookMs: { type: "number" },
};

export const problemResponse = {
  description: `A problem; its category is one of ${categories.join(", ")}`,
  content: {
    "application/problem+json": { schema: { $ref: componentReference("Problem") } },
  },
};

export const waitParameter = {
  name: "wait",
  in: "query",
  description: "Answer when the job has ended (200), not at once (202)",
  schema: { type: "boolean", default: false },
};

export const idempotencyParameter = {
  name: "Idempotency-Key",
  in: "header",
  description: "Repeating a request with the same key has its effect once; kept for 24 hours",
  schema: { type: "string", minLength: 1, maxLength: 200 },
};

export const lastEventParameter = {
  name: "Last-Event-ID",
  in: "header",
  description: "The id of the last event received, as a reconnecting EventSource sends it",
  schema: { type: "string" },
};

export const fileSchema: Schema = {
  type: "string",
  contentMediaType: "application/octet-stream",
  description: "The file; its name and media type come with the part",
};
