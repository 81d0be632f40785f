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
  const key = input.key ?? input.file?.name ?? `text-${sha256(bytes).slice(0, 16)}`;
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
    (incoming.mediaType === null || before.media_type === incoming.mediaType) &&
    before.metadata === JSON.stringify(incoming.metadata)
  );
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

