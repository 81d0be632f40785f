/** Forward-only steps of the SQLite schema; the position in the list, counted from one, is `PRAGMA user_version`. Never change one that was released. */
export const sqliteMigrations: readonly { name: string; statements: readonly string[] }[] = [
  {
    name: "search over one's own files",
    statements: [
      `create table grants (
        principal_id text not null, collection_id text not null, level text not null check (level in ('read','write','owner')),
        created_at integer not null, primary key (principal_id, collection_id)) strict, without rowid`,
      `create index grants_by_collection on grants (collection_id)`,
      `create table spaces (
        id text primary key, identity text not null unique, name text not null, runtime text not null, model_name text not null,
        model_revision text not null, pooling text not null, normalized integer not null check (normalized in (0,1)),
        dims integer not null check (dims > 0), max_tokens integer, prefixes text not null, fusion_weight real,
        fusion_measured_at integer, fusion_data_hash text, created_at integer not null) strict`,
      `create table collections (
        id text primary key, name text not null unique, kind text not null, space_id text not null references spaces (id),
        max_tokens integer not null, overlap_tokens integer not null, description text, generation integer not null,
        created_at integer not null, updated_at integer not null) strict`,
      `create table documents (
        id text primary key, collection_id text not null references collections (id) on delete cascade, key text not null,
        title text, media_type text not null, format text not null, language text, source_kind text not null, source_path text,
        source_url text, root text, bytes integer not null, sha256 text not null, modified_ms integer, metadata text not null,
        fell_back text, characters integer not null, chunk_count integer not null, indexed_at integer not null,
        created_at integer not null, unique (collection_id, key)) strict`,
      `create index documents_by_root on documents (collection_id, root)`,
      `create table document_texts (
        document_id text primary key references documents (id) on delete cascade,
        collection_id text not null, text text not null) strict`,
      `create table chunks (
        row integer primary key autoincrement, id text not null unique, collection_id text not null,
        document_id text not null references documents (id) on delete cascade, ordinal integer not null,
        from_character integer not null, to_character integer not null, from_line integer, to_line integer,
        heading text not null, prefix text not null, text text not null, key text not null, tokens integer not null) strict`,
      `create index chunks_by_document on chunks (document_id, ordinal)`,
      `create index chunks_by_collection on chunks (collection_id, key)`,
      `create index chunks_by_key on chunks (key)`,
      `create table vectors (
        chunk_key text not null, space_id text not null references spaces (id), vector blob not null,
        primary key (chunk_key, space_id)) strict, without rowid`,
      `create index vectors_by_space on vectors (space_id)`,
      `create table jobs (
        id text primary key, kind text not null, state text not null, owner text not null, target_type text not null,
        target_id text not null, input text not null, phase text, unit text not null, total integer, done integer not null,
        failed integer not null, skipped integer not null, attempt integer not null, boot text, cancel_requested integer not null,
        error text, result text, sequence integer not null, created_at integer not null, started_at integer,
        finished_at integer) strict`,
      `create index jobs_by_state on jobs (state, created_at)`,
      `create index jobs_by_target on jobs (target_id)`,
      `create table job_items (
        job_id text not null references jobs (id) on delete cascade, item text not null,
        outcome text not null check (outcome in ('done','failed','skipped')), reason text, ledger_id text,
        attempt integer not null, at integer not null, primary key (job_id, item)) strict, without rowid`,
      `create table runs (
        id text primary key, started_at integer not null, ended_at integer, exported integer not null, version text not null,
        node text not null, platform text not null, environment text not null) strict`,
      `create table ledger_entries (
        id text primary key, run_id text not null, time integer not null, severity text not null, category text not null,
        code text not null, type text not null, message text not null, stack text not null, context text not null, item text,
        job_id text, correlation_id text, principal text, operation text, method text, endpoint text, source_file text,
        source_line integer, fingerprint text not null, unexpected integer not null, regressed integer not null,
        resolved integer not null, resolved_by text, resolved_at integer, resolution_notes text) strict`,
      `create index ledger_by_run on ledger_entries (run_id, time)`,
      `create index ledger_by_fingerprint on ledger_entries (fingerprint, time)`,
      `create table api_keys (
        id text primary key, name text not null, hash text not null unique, prefix text not null, role text not null,
        owner text not null, created_at integer not null, expires_at integer, last_used_at integer, revoked_at integer) strict`,
      `create table sessions (
        hash text primary key, principal_id text not null, created_at integer not null, expires_at integer not null) strict, without rowid`,
      `create table idempotency (
        principal_id text not null, operation text not null, key text not null, input_hash text not null, answer text not null,
        created_at integer not null, primary key (principal_id, operation, key)) strict, without rowid`,
      `create index idempotency_by_time on idempotency (created_at)`,
    ],
  },
];
