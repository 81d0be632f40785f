/**
 * The rows of the database, as the migrations make them. Times are UTC milliseconds, booleans 0 or 1, JSON is text.
 * Owned tables belong to a collection or a principal and are reached only through `database.as(scope)`.
 */
import type { Generated, Selectable } from "kysely";

export type GrantLevel = "read" | "write" | "owner";

type CollectionTable = {
  id: string;
  /** Unique; the id of one that lies in the trash, so that its name is free. */
  name: string;
  kind: string;
  space_id: string;
  max_tokens: number;
  overlap_tokens: number;
  description: string | null;
  /** Counts the changes of this collection's content: cursors and derived indexes name the one they saw. */
  generation: number;
  created_at: number;
  updated_at: number;
  /** The trash entry that took it out of sight with all that is in it; null for one that is there. */
  trash_id: Generated<string | null>;
};

export type CollectionRow = Selectable<CollectionTable>;

export type DocumentRow = {
  id: string;
  collection_id: string;
  key: string;
  title: string | null;
  media_type: string;
  format: string;
  language: string | null;
  source_kind: "file" | "upload" | "text" | "url";
  source_path: string | null;
  source_url: string | null;
  /** The folder whose sync owns this document; null for documents added one by one. */
  root: string | null;
  bytes: number;
  sha256: string;
  modified_ms: number | null;
  metadata: string;
  /** Reason why a source file was cut by lines; null when its own structure was followed. */
  fell_back: string | null;
  characters: number;
  chunk_count: number;
  indexed_at: number;
  created_at: number;
};

type ChunkTable = {
  /** The number under which the keyword index knows this chunk; never shown. */
  row: Generated<number>;
  id: string;
  collection_id: string;
  document_id: string;
  ordinal: number;
  from_character: number;
  to_character: number;
  from_line: number | null;
  to_line: number | null;
  heading: string;
  /** What is embedded before the text: the headings it stands under. */
  prefix: string;
  text: string;
  /** sha256 of the embedded text and the chunker's version: names the vector in each space. */
  key: string;
  tokens: number;
};

export type ChunkRow = Selectable<ChunkTable>;

export type JobRow = {
  id: string;
  kind: string;
  state: string;
  owner: string;
  target_type: string;
  target_id: string;
  input: string;
  phase: string | null;
  unit: string;
  total: number | null;
  done: number;
  failed: number;
  skipped: number;
  attempt: number;
  /** The boot that runs it; work of another boot is not this process's. */
  boot: string | null;
  cancel_requested: number;
  error: string | null;
  result: string | null;
  sequence: number;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
  /** The request that started or last resumed it; null for one that Candor started by itself. */
  request_id: string | null;
};

export type JobItemRow = {
  job_id: string;
  item: string;
  outcome: "done" | "failed" | "skipped";
  reason: string | null;
  ledger_id: string | null;
  attempt: number;
  at: number;
};

/** What was deleted and can still be restored. A collection stays where it is, out of sight; a document's rows move. */
export type TrashEntryRow = {
  id: string;
  kind: "document" | "collection";
  /** The collection it lay in, or itself. */
  collection_id: string;
  /** The deleted document or collection. */
  thing_id: string;
  /** The document's key, or the collection's name. */
  name: string;
  deleted_by: string;
  deleted_at: number;
  expires_at: number;
  documents: number;
  chunks: number;
  vectors: number;
  bytes: number;
  /** 1: being removed for good, in steps; never shown again. */
  purging: number;
};

/** Tables whose rows belong to somebody. */
export type OwnedTables = {
  collections: CollectionTable;
  documents: DocumentRow;
  document_texts: { document_id: string; collection_id: string; text: string };
  chunks: ChunkTable;
  jobs: JobRow;
};

/** Tables without an owner, or read only by the room that keeps them. */
export type OpenTables = {
  grants: {
    principal_id: string;
    collection_id: string;
    level: GrantLevel;
    created_at: number;
    /** 1: part of a limited key's subset, worth at most what the key's owner has at the moment. */
    delegated: Generated<number>;
  };
  spaces: {
    id: string;
    /** sha256 of all that changes vectors: model revision, pooling, normalisation, dims, prefixes. */
    identity: string;
    name: string;
    runtime: string;
    model_name: string;
    model_revision: string;
    pooling: string;
    normalized: number;
    dims: number;
    max_tokens: number | null;
    prefixes: string;
    fusion_weight: number | null;
    fusion_measured_at: number | null;
    fusion_data_hash: string | null;
    created_at: number;
  };
  vectors: { chunk_key: string; space_id: string; vector: Uint8Array };
  trash_entries: TrashEntryRow;
  trashed_documents: DocumentRow & { trash_id: string };
  trashed_texts: { document_id: string; collection_id: string; text: string };
  trashed_chunks: ChunkRow;
  job_items: JobItemRow;
  ledger_entries: {
    id: string;
    run_id: string;
    time: number;
    severity: string;
    category: string;
    code: string;
    type: string;
    message: string;
    stack: string;
    context: string;
    item: string | null;
    job_id: string | null;
    correlation_id: string | null;
    principal: string | null;
    operation: string | null;
    method: string | null;
    endpoint: string | null;
    source_file: string | null;
    source_line: number | null;
    fingerprint: string;
    unexpected: number;
    regressed: number;
    resolved: number;
    resolved_by: string | null;
    resolved_at: number | null;
    resolution_notes: string | null;
  };
  runs: {
    id: string;
    started_at: number;
    ended_at: number | null;
    exported: number;
    version: string;
    node: string;
    platform: string;
    environment: string;
  };
  api_keys: {
    id: string;
    name: string;
    hash: string;
    prefix: string;
    role: string;
    owner: string;
    created_at: number;
    expires_at: number | null;
    last_used_at: number | null;
    revoked_at: number | null;
    /** 1: the key reaches only the collections it was given, not all of its owner's. */
    limited: Generated<number>;
  };
  users: {
    id: string;
    name: string;
    role: string;
    /** Argon2id in PHC form; null for a user who has no password yet. */
    password_hash: string | null;
    disabled: number;
    created_at: number;
    updated_at: number;
    last_login_at: number | null;
  };
  /** Failed logins in a row by the name that was tried, whether or not there is such a user. */
  /** `first_at`: of the first attempt; once as many were made as are let through, of the last one of these. */
  login_failures: { name: string; count: number; first_at: number };
  /** One sign-in with a password: a family of refresh tokens, ended together. */
  logins: {
    id: string;
    user_id: string;
    created_at: number;
    expires_at: number;
    revoked_at: number | null;
  };
  refresh_tokens: { hash: string; login_id: string; created_at: number; spent_at: number | null };
  /** Secrets that Candor keeps for itself, sealed with AES-256-GCM. */
  secrets: { name: string; sealed: Uint8Array; created_at: number };
  audit_entries: {
    /** From 1 without a gap: its order is the chain's. */
    number: number;
    id: string;
    time: number;
    principal: string | null;
    role: string | null;
    operation: string;
    target_type: string | null;
    target_id: string | null;
    outcome: "done" | "refused" | "failed";
    code: string | null;
    request_id: string;
    address: string | null;
    /** sha256 over the entry before and every other column of this one. */
    hash: string;
  };
  /** The engine's own: the highest number it gave away, per table that counts. */
  sqlite_sequence: { name: string; seq: number };
  sessions: {
    hash: string;
    principal_id: string;
    created_at: number;
    expires_at: number;
  };
  idempotency: {
    principal_id: string;
    operation: string;
    key: string;
    input_hash: string;
    answer: string;
    created_at: number;
  };
};

export type Tables = OwnedTables & OpenTables;
