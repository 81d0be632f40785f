import { measureStore, type StoreSizes } from "#base/database/index.ts";
import { serveTask } from "#base/workers/index.ts";

/** Texts and vectors that only the trash keeps, in bytes, without what their rows and pages add. */
const trashBytes = `select
  (select coalesce(sum(octet_length(text)), 0) from trashed_texts)
  + (select coalesce(sum(octet_length(text) + octet_length(prefix)), 0) from trashed_chunks)
  + (select coalesce(sum(octet_length(text)), 0) from document_texts where collection_id in hidden)
  + (select coalesce(sum(octet_length(text) + octet_length(prefix)), 0) from chunks where collection_id in hidden)
  + (select coalesce(sum(length(vector)), 0) from vectors
      where chunk_key in (select key from trashed_chunks union select key from chunks where collection_id in hidden)
        and not exists (select 1 from chunks join collections on collections.id = chunks.collection_id
          where chunks.key = vectors.chunk_key and collections.space_id = vectors.space_id
            and collections.trash_id is null))`.replaceAll(
  "in hidden",
  "in (select id from collections where trash_id is not null)",
);

/** Worker task: measures the database file that it is opened with. */
serveTask({
  open: ({ path }: { path: string }) => ({
    measure: (): StoreSizes =>
      measureStore(path, { trashEntries: "select count(*) from trash_entries", trashBytes }),
  }),
});
