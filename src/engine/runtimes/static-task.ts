import { serveTask, withTransfer } from "#base/workers/index.ts";
import { embedTexts, type TextRole } from "./embed-texts.ts";
import { loadStaticModel } from "./load-static-model.ts";
import { explainPairs } from "./token-pairs.ts";

// The entry of a worker thread with one static model. Each answer names the revision that gave it.

serveTask({
  open({ folder }: { folder: string }) {
    const model = loadStaticModel(folder);
    const { revision } = model.description;
    return {
      describe: () => ({ revision, value: model.description }),
      embed({ texts, role }: { texts: readonly string[]; role: TextRole }) {
        const value = embedTexts(model, texts, role);
        return withTransfer({ revision, value }, [value.vectors.buffer]);
      },
      explainPairs: (input: { query: string; passage: string; limit: number }) => ({
        revision,
        value: explainPairs(model, input.query, input.passage, input.limit),
      }),
      countTokens: ({ texts }: { texts: readonly string[] }) => ({
        revision,
        value: texts.map((text) => model.tokenizer.count(text)),
      }),
    };
  },
});
