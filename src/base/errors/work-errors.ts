import { line } from "./define-error.ts";

// Documents
export const FormatUnsupportedError = line(
  "FormatUnsupportedError",
  "format_unsupported",
  [415, "low", "validation", "final"],
  "No reader for this kind of file",
  "Text, Markdown, HTML, JSON, CSV and source code are read.",
);
export const FormatInvalidError = line(
  "FormatInvalidError",
  "format_invalid",
  [422, "low", "validation", "final"],
  "The content is not what its type says",
  "The message names what was expected and what was found.",
);
export const EncodingInvalidError = line(
  "EncodingInvalidError",
  "encoding_invalid",
  [422, "low", "validation", "final"],
  "The text encoding is broken",
  "UTF-8, UTF-16 with a byte order mark and Windows-1252 named as such are read; nothing is replaced silently.",
);
export const DocumentTooLargeError = line(
  "DocumentTooLargeError",
  "document_too_large",
  [413, "low", "validation", "final"],
  "The document is larger than allowed",
  "The message names the limit. Split the document.",
);
export const DocumentEmptyError = line(
  "DocumentEmptyError",
  "document_empty",
  [422, "low", "validation", "final"],
  "The document has no text",
  "There is nothing to search in it.",
);
export const CollectionInTrashError = line(
  "CollectionInTrashError",
  "collection_in_trash",
  [409, "low", "business_logic", "final"],
  "The collection of this document lies in the trash",
  "Restore the collection first, then the document: `candor trash` lists both.",
);
export const KeyTakenError = line(
  "KeyTakenError",
  "key_taken",
  [409, "low", "business_logic", "final"],
  "Another source owns this key",
  "A document that came from another folder or was added by hand has this key. Delete it, or use another collection.",
);

// Models and vectors
export const ModelFileMissingError = line(
  "ModelFileMissingError",
  "model_file_missing",
  [500, "critical", "ml_model", "final"],
  "A file of the model is missing",
  "Reinstall Candor, or restore the model’s folder.",
);
export const ModelInvalidError = line(
  "ModelInvalidError",
  "model_invalid",
  [500, "critical", "ml_model", "final"],
  "A file of the model is damaged or of the wrong shape",
  "Its content is not what its checksum or its configuration says. Reinstall or restore it.",
);
export const TensorFileInvalidError = line(
  "TensorFileInvalidError",
  "tensor_file_invalid",
  [422, "high", "ml_model", "final"],
  "The tensor file cannot be read",
  "The message names the limit or the rule of the safetensors format that it breaks.",
);
export const TokenizerInvalidError = line(
  "TokenizerInvalidError",
  "tokenizer_invalid",
  [500, "critical", "ml_model", "final"],
  "The tokenizer cannot be loaded",
  "Its file is damaged. Reinstall or restore the model.",
);
export const EmbeddingInferenceError = line(
  "EmbeddingInferenceError",
  "inference_failed",
  [500, "high", "ml_model", "retry"],
  "The model gave no usable vector",
  "The reason is in the message. Nothing was stored and nothing put in its place.",
);
export const TextWithoutTokensError = line(
  "TextWithoutTokensError",
  "text_without_tokens",
  [422, "low", "ml_model", "final"],
  "The text has no token of this model",
  "Blank text or control characters alone have no meaning to embed.",
);
export const SpaceMismatchError = line(
  "SpaceMismatchError",
  "space_mismatch",
  [409, "low", "ml_model", "final"],
  "Vectors of different spaces do not compare",
  "Search collections of one space at a time, or by keyword.",
);
export const SpaceInvalidError = line(
  "SpaceInvalidError",
  "space_invalid",
  [500, "critical", "ml_model", "final"],
  "Stored vectors do not fit their space",
  "A stored vector has the wrong length or values. Delete and index the document again.",
);

// Work in the background
export const WorkerCrashedError = line(
  "WorkerCrashedError",
  "worker_crashed",
  [500, "high", "performance", "retry"],
  "A worker died",
  "A new one is started; only the item in work is affected.",
);
export const WorkerTimeoutError = line(
  "WorkerTimeoutError",
  "worker_timeout",
  [504, "high", "performance", "retry"],
  "A worker took too long and was stopped",
  "The item may be too large or hostile; others are unaffected.",
);
export const OutOfMemoryError = line(
  "OutOfMemoryError",
  "out_of_memory",
  [503, "high", "performance", "retry"],
  "A worker ran out of its memory limit",
  "The item needs more memory than one worker may use; others are unaffected.",
);
export const OverloadedError = line(
  "OverloadedError",
  "overloaded",
  [503, "medium", "performance", "retry"],
  "Too much is waiting",
  "Try again after the time named in Retry-After.",
);
export const JobNotResumableError = line(
  "JobNotResumableError",
  "job_not_resumable",
  [409, "low", "business_logic", "final"],
  "The job cannot be resumed",
  "Only jobs that are interrupted, failed, partial or cancelled go on.",
);
export const JobThresholdError = line(
  "JobThresholdError",
  "job_below_threshold",
  [500, "high", "business_logic", "final"],
  "Too few items succeeded",
  "The job’s items name each failure with its ledger entry.",
);
export const JobInterruptedError = line(
  "JobInterruptedError",
  "job_interrupted",
  [500, "high", "business_logic", "retry"],
  "The process ended while the job ran",
  "The job goes on at the next start where its kind allows it.",
);
export const UncleanStopError = line(
  "UncleanStopError",
  "unclean_stop",
  [500, "high", "unknown", "final"],
  "An earlier run ended without stopping cleanly",
  "It was killed, crashed or lost power. What it had acknowledged is kept; its jobs go on.",
);
export const SearchFailedError = line(
  "SearchFailedError",
  "search_failed",
  [500, "high", "database", "final"],
  "No leg of the search could run",
  "Each leg’s reason is in the details.",
);
