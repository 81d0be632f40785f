import { z } from "zod";
import { toProblem } from "#base/errors/index.ts";
import { embeddingBytes } from "#engine/embeddings/index.ts";
import { defineOperation } from "../define-operation.ts";
import { problemSchema, spaceBriefSchema } from "../shapes.ts";

/** Most texts of one call. */
const mostInputs = 256;

/** Longest text, in UTF-16 characters: far above what any model reads. */
const longestInput = 1_000_000;

export const embeddingsEmbed = defineOperation({
  name: "embeddings.embed",
  summary: "Embed texts in a space; each text answers with its vector or its error",
  input: z.strictObject({
    inputs: z.array(z.string().max(longestInput)).min(1).max(mostInputs).describe("The texts"),
    kind: z.enum(["query", "passage"]).describe("Which prefix the model puts before the text"),
    space: z.string().min(1).max(200).optional().describe("Id or name; the default space without"),
    encoding: z
      .enum(["float", "base64"])
      .default("float")
      .describe("Numbers, or base64 of little-endian float32"),
  }),
  output: z.object({
    space: spaceBriefSchema,
    items: z.array(
      z.union([
        z.object({
          index: z.int(),
          vector: z.union([z.array(z.number()), z.string()]),
          tokens: z.int(),
          truncated: z.boolean(),
        }),
        z.object({ index: z.int(), error: problemSchema }),
      ]),
    ),
    done: z.int(),
    failed: z.int(),
  }),
  effect: "read",
  permission: { role: "api_user" },
  http: { method: "POST", path: "/embeddings" },
  cli: { command: "embed <inputs...>" },
  run: async ({ input, app, signal, notice, requestId, principal }) => {
    const space = await app.embeddings.space(input.space);
    const made = await app.embeddings.embed(space, input.inputs, { kind: input.kind, signal });
    const failures = made.flatMap((item) => ("error" in item ? [item] : []));
    const [first] = failures;
    if (first && failures.length === made.length) throw first.error;
    const problems = new Map<number, ReturnType<typeof toProblem>>();
    for (const { index, error } of failures) {
      const ledgerId = await app.ledger.record(error, {
        item: `inputs/${index}`,
        operation: "embeddings.embed",
        correlationId: requestId,
        ...(principal ? { principal: principal.id } : {}),
      });
      problems.set(index, toProblem(error, { requestId, ledgerId }));
    }
    const items = made.map((item) => {
      if ("error" in item)
        return { index: item.index, error: problems.get(item.index) ?? toProblem(item.error) };
      if (item.truncated)
        notice({
          code: "input_truncated",
          message: `Input ${item.index} has ${item.truncated.tokens} tokens; the model reads the first ${item.truncated.limit}.`,
          details: { index: item.index, ...item.truncated },
        });
      return {
        index: item.index,
        vector:
          input.encoding === "base64"
            ? Buffer.from(embeddingBytes(item.embedding)).toString("base64")
            : [...item.embedding],
        tokens: item.tokens,
        truncated: item.truncated !== null,
      };
    });
    return {
      space: {
        id: space.id,
        name: space.name,
        dims: space.dims,
        modelRevision: space.model.revision,
      },
      items,
      done: made.length - failures.length,
      failed: failures.length,
    };
  },
});
