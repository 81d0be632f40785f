/** Every notice a successful answer may carry, with its meaning: the source of the table in docs/errors.md. */
export const noticeCatalogue = {
  input_truncated: "A text was longer than the model reads; both lengths are in the details.",
  keyword_only: "The semantic leg could not run; the answer rests on keywords alone.",
  semantic_only: "The keyword leg could not run; the answer rests on meaning alone.",
  still_indexing: "A job is still adding to a searched collection; counts are in the details.",
  collection_empty: "Nothing is indexed in the searched collections yet.",
  collections_left_out:
    "Collections in other spaces were not searched; they are named in the details.",
  collection_created: "The collection did not exist and was created.",
  hits_limited: "Paging ends at the deepest ranked candidates; narrow the query or filter.",
  key_shown_once: "The key is shown only in the first answer; this is a replay.",
  secret_generated: "No secret key is configured; one was generated for this data directory.",
} as const;

export type NoticeCode = keyof typeof noticeCatalogue;

/** A machine-readable remark on a successful answer. */
export type Notice = {
  code: NoticeCode;
  message: string;
  details?: Readonly<Record<string, unknown>>;
};
