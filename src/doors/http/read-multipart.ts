import type { FastifyRequest } from "fastify";
import type { MultipartFile, MultipartValue } from "@fastify/multipart";
import {
  InputInvalidError,
  MalformedRequestError,
  PayloadTooLargeError,
} from "#base/errors/index.ts";
import { coerceStrings } from "#operations/index.ts";
import type { Operation } from "#operations/index.ts";
import type { Door } from "./door.ts";
import { inputSchema } from "./openapi/schemas.ts";

/** Fields beside the file that one form may hold; the largest honest form has 5. */
const mostFields = 20;

/** A file that came with a form. `mediaType` is null where the sender did not know it. */
export type UploadedFile = {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly mediaType: string | null;
};

export function isMultipart(request: FastifyRequest): boolean {
  return /^multipart\/form-data\b/i.test(request.headers["content-type"] ?? "");
}

/** The fields of a form: `file` as bytes, all others as text in the types of the operation's schema. */
export async function readMultipart(
  door: Door,
  operation: Operation,
  request: FastifyRequest,
): Promise<Record<string, unknown>> {
  refuseLarge(door, request);
  const texts = new Map<string, string | string[]>();
  const files = new Map<string, UploadedFile>();
  try {
    for await (const part of request.parts({
      limits: limitsOf(door, request.routeOptions.bodyLimit),
    })) {
      if (!part.fieldname) throw new MalformedRequestError("A part of the form has no name.");
      if (part.type === "file") files.set(part.fieldname, await readFilePart(part, files));
      else texts.set(part.fieldname, addText(texts.get(part.fieldname), part));
    }
  } catch (thrown) {
    throw toFormError(thrown);
  }
  const fields = coerceStrings(inputSchema(operation), Object.fromEntries(texts));
  return { ...fields, ...Object.fromEntries(files) };
}

/** What the form's parser raises without a status is about the bytes it was given. */
function toFormError(thrown: unknown): unknown {
  const hasStatus = thrown instanceof Error && ("statusCode" in thrown || "status" in thrown);
  if (hasStatus || !(thrown instanceof Error)) return thrown;
  return new MalformedRequestError(`The form cannot be read: ${thrown.message}.`, {
    cause: thrown,
  });
}

/** What says beforehand that it is too large is not read at all; the form around the file may take a little more. */
function refuseLarge(door: Door, request: FastifyRequest): void {
  const most = request.routeOptions.bodyLimit;
  const says = Number(request.headers["content-length"] ?? 0);
  if (says > most + door.limits.jsonBytes)
    throw new PayloadTooLargeError(
      `The form has ${says} bytes; a file may have ${most}. Raise server.bodyLimitMegabytes, or split the file.`,
    );
}

function limitsOf(door: Door, fileSize: number) {
  return {
    fileSize,
    files: 1,
    fields: mostFields,
    parts: mostFields + 1,
    fieldNameSize: 100,
    fieldSize: door.limits.jsonBytes,
    headerPairs: 20,
  };
}

async function readFilePart(
  part: MultipartFile,
  earlier: ReadonlyMap<string, UploadedFile>,
): Promise<UploadedFile> {
  if (part.fieldname !== "file" || earlier.size > 0)
    throw new InputInvalidError(
      `A form carries one file, in the field "file"; found "${part.fieldname}".`,
      { errors: [{ pointer: `/${part.fieldname}`, message: "is not the one file field" }] },
    );
  const bytes = await part.toBuffer();
  const known = part.mimetype !== "" && part.mimetype !== "application/octet-stream";
  return { bytes, name: part.filename, mediaType: known ? part.mimetype : null };
}

function addText(known: string | string[] | undefined, part: MultipartValue): string | string[] {
  if (part.valueTruncated || part.fieldnameTruncated)
    throw new PayloadTooLargeError(`The form field "${part.fieldname}" is longer than allowed.`);
  const text = typeof part.value === "string" ? part.value : JSON.stringify(part.value);
  return known === undefined ? text : [...(Array.isArray(known) ? known : [known]), text];
}
