import { createHash } from "node:crypto";
import type { CollectionRow, DocumentRow } from "#base/database/index.ts";
import { InputInvalidError } from "#base/errors/index.ts";
import { type Document, toDocument } from "./documents.ts";
import {
  documentOf,
  type IncomingDocument,
  type IndexDependencies,
  makeReady,
  store,
} from "./index-document.ts";

/** A document as a caller hands it in: text, or a file's bytes. */
export type AddDocument = {
  content?: string | undefined;
  file?: { bytes: Uint8Array; name: string; mediaType: string | null } | undefined;
  key?: string | undefined;
  mediaType?: string | undefined;
  title?: string | undefined;
  metadata?: Record<string, unknown> | undefined;
};

export type Added = {
  document: Document;
  outcome: "added" | "replaced" | "unchanged";
  chunks: number;
};

/** Longest key of a document, in UTF-16 characters. */
const longestKey = 512;

/** Largest metadata of a document, as JSON bytes. */
const largestMetadata = 16 * 1024;

/** What `input` says, checked where a schema cannot. Raises InputInvalidError. */
export function toIncoming(input: AddDocument): IncomingDocument {
  if ((input.content === undefined) === (input.file === undefined))
    throw new InputInvalidError("A document has either content or a file.", {
      errors: [{ pointer: "/content", message: "give either content or a file" }],
    });
  const metadata = input.metadata ?? {};
  if (Buffer.byteLength(JSON.stringify(metadata)) > largestMetadata)
    throw new InputInvalidError(`metadata is larger than ${largestMetadata} bytes as JSON.`, {
      errors: [{ pointer: "/metadata", message: `at most ${largestMetadata} bytes` }],
    });
  const bytes = input.file?.bytes ?? new TextEncoder().encode((input.content ?? "").toWellFormed());
  const key = input.key ?? nameOf(input.file) ?? `text-${sha256(bytes).slice(0, 16)}`;
  return {
    key,
    bytes,
    mediaType: input.mediaType ?? input.file?.mediaType ?? null,
    title: input.title ?? null,
    metadata,
    source: { kind: input.file ? "upload" : "text", path: null, url: null },
    root: null,
    modifiedMs: null,
  };
}

/** The name of a handed-in file, as its key; a form may carry anything there. */
function nameOf(file: AddDocument["file"]): string | undefined {
  if (file === undefined) return undefined;
  if (file.name !== "" && file.name.length <= longestKey && !/\p{Cc}/u.test(file.name))
    return file.name;
  throw new InputInvalidError(
    `The file's name cannot be its key: a key has 1 to ${longestKey} characters and no control characters. Give a key.`,
    { errors: [{ pointer: "/key", message: "give a key" }] },
  );
}

/** Adds one document, or replaces the one of its key; the same content again changes nothing. */
export async function addDocument(
  dependencies: IndexDependencies,
  collection: CollectionRow,
  incoming: IncomingDocument,
  signal: AbortSignal,
): Promise<Added> {
  const before = await documentOf(dependencies.database, collection, incoming.key, null);
  if (before && isSame(before, incoming))
    return {
      document: await toDocument(before),
      outcome: "unchanged",
      chunks: before.chunk_count,
    };
  const ready = await makeReady(dependencies, collection, incoming, signal);
  const { answer, applied } = await dependencies.database.write(async (handle) => {
    const stored = await store(dependencies, handle, collection, ready);
    const added: Added = {
      document: await toDocument(stored.document),
      outcome: stored.outcome,
      chunks: stored.document.chunk_count,
    };
    return { answer: await handle.answer(added), applied: stored.applied };
  });
  applied();
  return answer;
}

/** Whether adding `incoming` would change nothing. */
export function isSame(before: DocumentRow, incoming: IncomingDocument): boolean {
  return (
    before.sha256 === sha256(incoming.bytes) &&
    (incoming.title === null || before.title === incoming.title) &&
    (incoming.mediaType === null || readsTheSame(before.media_type, incoming.mediaType)) &&
    before.metadata === JSON.stringify(incoming.metadata)
  );
}

/** Whether the same bytes under this media type are the same text; one that names another charset is read again. */
function readsTheSame(stored: string, mediaType: string): boolean {
  const [type, ...parameters] = mediaType
    .toLowerCase()
    .split(";")
    .map((part) => part.trim());
  const isKnown = type === stored || type === "application/octet-stream";
  return isKnown && parameters.every((part) => /^charset\s*=\s*"?utf-8"?$/.test(part));
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
