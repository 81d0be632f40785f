import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import type { Space } from "#engine/embeddings/index.ts";
import { parseSafetensorsHeader, readTensor } from "#engine/formats/index.ts";
import { openTokenizer } from "#engine/runtimes/index.ts";
import { type OpenApp, openApp } from "#app";
import { mixedTexts } from "./corpus.ts";
import { alternate, type Measured, secondsOf, toRow } from "./measurement.ts";
import type { Bench } from "./open-bench.ts";

/** Texts of one call, as many as indexing sends. */
const batch = 64;

/** Calls under way at the same time, as many as indexing has. */
const callers = 4;

const method =
  "Texts of mixed length (sentences, paragraphs, sections, whole documents of the labelled set, a quarter each), four calls of 64 " +
  "at a time to `embeddings.embed` with one embedding thread, which answers with checked vectors as everywhere in Candor. Candor's tokenizer " +
  "and the library that it is built on encode the same texts in the calling thread; the table lookup sums the rows of token ids that " +
  "are already there, without tokenizer, normalisation, checks or thread. Best of five, alternating, after one warm round.";

/** Texts per second from text to checked vector, beside what its parts take by themselves. */
export async function staticEmbedding(bench: Bench): Promise<Measured> {
  const texts = mixedTexts(bench.size(4000, 400), 2);
  const app = await openApp(bench.configure("embedding", { "performance.embedThreads": 1 }));
  try {
    const space = await app.embeddings.space();
    const folder = await app.embeddings.folderOf(space);
    const tokenizer = await openTokenizer(folder);
    const tokens = texts.map((text) => tokenizer.encode(text).ids);
    const embedAll = () => embedInCalls(app, space, texts);
    const library = new Tokenizer(readJson(join(folder, "tokenizer.json")), {});
    const table = readTable(folder);
    const perSecond = async (work: () => unknown) => texts.length / (await secondsOf(work));
    await embedAll();
    const best = await alternate(bench.size(5, 2), "more", {
      embed: () => perSecond(embedAll),
      tokenize: () =>
        perSecond(() => {
          for (const text of texts) tokenizer.encode(text);
        }),
      library: () =>
        perSecond(() => {
          for (const text of texts) library.encode(text, { add_special_tokens: false });
        }),
      lookUp: () => perSecond(() => sumAll(table, tokens)),
    });
    const ours = {
      name: "Static embedding, mixed lengths",
      figure: best.embed,
      unit: "texts/s",
    };
    return {
      method,
      rows: [
        toRow(
          ours,
          { name: "Candor's tokenizer alone", figure: best.tokenize },
          { words: "≥ 0.9×", met: best.embed >= 0.9 * best.tokenize },
        ),
        toRow(ours, { name: "@huggingface/tokenizers alone", figure: best.library }),
        toRow(ours, { name: "bare table lookup of known token ids", figure: best.lookUp }),
      ],
    };
  } finally {
    await app.close();
  }
}

/** Embeds all texts, several calls at a time, and raises the first failure of a text. */
async function embedInCalls(
  { embeddings }: OpenApp,
  space: Space,
  texts: readonly string[],
): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < texts.length) {
      const from = next;
      next += batch;
      const call = texts.slice(from, from + batch);
      for (const item of await embeddings.embed(space, call, { kind: "passage" }))
        if ("error" in item) throw item.error;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
}

function readJson(path: string): object {
  return JSON.parse(readFileSync(path, "utf8")) as object;
}

type Table = { values: Int8Array; scales: Float32Array; dims: number };

function readTable(folder: string): Table {
  const bytes = readFileSync(join(folder, "model.safetensors"));
  const header = parseSafetensorsHeader(bytes);
  const values = readTensor(bytes, header, "embeddings");
  const scales = readTensor(bytes, header, "scales");
  if (!(values instanceof Int8Array && scales instanceof Float32Array))
    throw new TypeError("the default model's table is int8 with float32 scales");
  return { values, scales, dims: values.length / scales.length };
}

/** The sum of the rows of each text's tokens, one row after the other. */
function sumAll({ values, scales, dims }: Table, tokens: readonly (readonly number[])[]): void {
  const sum = new Float64Array(dims);
  for (const ids of tokens) {
    sum.fill(0);
    for (const id of ids) {
      const scale = scales[id] as number;
      const row = id * dims;
      for (let j = 0; j < dims; j += 1)
        sum[j] = (sum[j] as number) + scale * (values[row + j] as number);
    }
  }
}
