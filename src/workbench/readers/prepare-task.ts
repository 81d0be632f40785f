import { serveTask } from "#base/workers/index.ts";
import { openTokenizer } from "#engine/runtimes/index.ts";
import type { ChunkLimits } from "./chunk-document.ts";
import { prepareDocument, type PreparedDocument } from "./prepare-document.ts";
import type { ReadInput } from "./read-document.ts";

/** The payload of the task's one method, `prepare`. */
type PrepareInput = ReadInput & { readonly limits: ChunkLimits };

/** Worker task: reads and chunks documents with the tokenizer of one space, whose folder it is opened with. */
serveTask({
  open: async ({ tokenizerFolder }: { tokenizerFolder: string }) => {
    const tokenizer = await openTokenizer(tokenizerFolder);
    return {
      prepare: ({ limits, ...input }: PrepareInput): Promise<PreparedDocument> =>
        prepareDocument(input, limits, (text) => tokenizer.count(text)),
    };
  },
});
