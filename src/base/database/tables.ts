/**
 * The rows of the database, as the migrations make them. Times are UTC milliseconds, booleans 0 or 1, JSON is text.
 * Owned tables belong to a collection or a principal and are reached only through `database.as(scope)`.
 */
import type { Generated, Selectable } from "kysely";

export type GrantLevel = "read" | "write" | "owner";

export type CollectionRow = {
  id: string;
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
};

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

/** Tables whose rows belong to somebody. */
export type OwnedTables = {
  collections: CollectionRow;
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
  };
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
