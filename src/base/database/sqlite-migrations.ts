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
  {
    name: "users, grants and audit",
    statements: [
      `create table users (
        id text primary key, name text not null unique, role text not null, password_hash text,
        disabled integer not null check (disabled in (0,1)), created_at integer not null, updated_at integer not null,
        last_login_at integer) strict`,
      `create table login_failures (
        name text primary key, count integer not null, first_at integer not null) strict, without rowid`,
      `create table logins (
        id text primary key, user_id text not null references users (id) on delete cascade, created_at integer not null,
        expires_at integer not null, revoked_at integer) strict`,
      `create index logins_by_user on logins (user_id)`,
      `create table refresh_tokens (
        hash text primary key, login_id text not null references logins (id) on delete cascade, created_at integer not null,
        spent_at integer) strict, without rowid`,
      `create index refresh_tokens_by_login on refresh_tokens (login_id)`,
      `create table secrets (
        name text primary key, sealed blob not null, created_at integer not null) strict, without rowid`,
      `create table audit_entries (
        number integer primary key autoincrement, id text not null unique, time integer not null, principal text, role text, operation text not null,
        target_type text, target_id text, outcome text not null check (outcome in ('done','refused','failed')), code text,
        request_id text not null, address text, hash text not null) strict`,
      `create index audit_by_principal on audit_entries (principal, number)`,
      `alter table grants add column delegated integer not null default 0 check (delegated in (0,1))`,
      `alter table api_keys add column limited integer not null default 0 check (limited in (0,1))`,
      `create index api_keys_by_owner on api_keys (owner)`,
      `create index sessions_by_principal on sessions (principal_id)`,
      `alter table jobs add column request_id text`,
    ],
  },
  {
    name: "trash",
    statements: [
      `alter table collections add column trash_id text`,
      `create table trash_entries (
        id text primary key, kind text not null check (kind in ('document','collection')),
        collection_id text not null references collections (id) on delete cascade, thing_id text not null, name text not null,
        deleted_by text not null, deleted_at integer not null, expires_at integer not null, documents integer not null,
        chunks integer not null, vectors integer not null, bytes integer not null,
        purging integer not null default 0 check (purging in (0,1))) strict`,
      `create index trash_by_collection on trash_entries (collection_id)`,
      `create index trash_by_end on trash_entries (expires_at)`,
      `create table trashed_documents (
        id text primary key, trash_id text not null references trash_entries (id) on delete cascade, collection_id text not null,
        key text not null, title text, media_type text not null, format text not null, language text, source_kind text not null,
        source_path text, source_url text, root text, bytes integer not null, sha256 text not null, modified_ms integer,
        metadata text not null, fell_back text, characters integer not null, chunk_count integer not null,
        indexed_at integer not null, created_at integer not null) strict`,
      `create index trashed_documents_by_trash on trashed_documents (trash_id)`,
      `create table trashed_texts (
        document_id text primary key references trashed_documents (id) on delete cascade,
        collection_id text not null, text text not null) strict`,
      `create table trashed_chunks (
        row integer primary key, id text not null unique, collection_id text not null,
        document_id text not null references trashed_documents (id) on delete cascade, ordinal integer not null,
        from_character integer not null, to_character integer not null, from_line integer, to_line integer,
        heading text not null, prefix text not null, text text not null, key text not null, tokens integer not null) strict`,
      `create index trashed_chunks_by_document on trashed_chunks (document_id, ordinal)`,
      `create index trashed_chunks_by_collection on trashed_chunks (collection_id)`,
      `create index trashed_chunks_by_key on trashed_chunks (key, collection_id)`,
      `drop index chunks_by_key`,
      `create index chunks_by_key on chunks (key, collection_id)`,
      `create index jobs_by_time on jobs (created_at, id)`,
      `create index jobs_by_owner on jobs (owner, created_at, id)`,
      `create index ledger_by_time on ledger_entries (time, id)`,
      `create index ledger_by_principal on ledger_entries (principal, time, id)`,
      `create index audit_by_time on audit_entries (time, id)`,
      `create index audit_by_principal_and_time on audit_entries (principal, time, id)`,
    ],
  },
];
