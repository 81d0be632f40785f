import { copyFileSync, cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { toCandorError } from "#base/errors/index.ts";
import { createWorkers, type Workers } from "#base/workers/index.ts";
import { createStaticRuntime, type StaticRuntime } from "#engine/runtimes/index.ts";
import { freshFolder, openRooms, type Rooms } from "../../../test/fixtures/rooms/open-rooms.ts";
import {
  editJson,
  setScale,
  writeStaticModel,
} from "../../../test/fixtures/change-static-model.ts";
import { cosine, spaceOf } from "./embedding.ts";
import { createEmbeddings, type EmbeddedItem, type Embeddings } from "./embeddings.ts";

const everything = { principal: "local", read: "all", write: "all" } as const;

const standard = join(import.meta.dirname, "../../../assets/candor-static-256");
const tiny = join(import.meta.dirname, "../../../test/fixtures/static-16");

let rooms: Rooms;
let workers: Workers;
let runtime: StaticRuntime;
const closing: (() => void)[] = [];

beforeAll(async () => {
  rooms = await openRooms(freshFolder((work) => closing.push(work)));
  workers = createWorkers({ onFault: () => {} });
  runtime = createStaticRuntime({ workers, threads: 1 });
});
afterAll(async () => {
  await workers.dispose();
  await rooms.close();
  for (const work of closing) work();
});

function open(folders: readonly string[]): Embeddings {
  const { database, metrics } = rooms;
  return createEmbeddings({ database, metrics, runtime, folders });
}

function counted(space: string): Record<string, number> {
  const counters = rooms.metrics.snapshot().counters;
  const own = counters.filter(
    ({ name, labels }) => name === "candor_embeddings_total" && labels["space"] === space,
  );
  return Object.fromEntries(own.map(({ labels, value }) => [labels["outcome"], value]));
}

function vectorOf(item: EmbeddedItem | undefined) {
  if (!item || "error" in item) throw item?.error ?? new Error("no item");
  return item.embedding;
}

describe("spaces", () => {
  test("the first folder is the default one; each is found by id and name", async () => {
    const embeddings = open([standard, tiny]);
    const spaces = await embeddings.list();
    expect(spaces.map(({ name, dims, default: first }) => [name, dims, first])).toEqual([
      ["candor-static-256", 256, true],
      ["static-16", 16, false],
    ]);
    const [first, second] = spaces;
    expect(await embeddings.space()).toEqual(first);
    expect(await embeddings.space("static-16")).toEqual(second);
    expect(await embeddings.space(second?.id)).toEqual(second);
    expect(second).toMatchObject({ maxTokens: 16, normalized: true, fusionWeight: null });
    expect(first?.model.revision).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  test("a space keeps its id over restarts and concurrent first uses", async () => {
    const [once, again] = [open([tiny]), open([tiny])];
    const ids = await Promise.all([once, again, once, again].map((room) => room.space()));
    expect(new Set(ids.map(({ id }) => id)).size).toBe(1);
  });

  test("an unknown space names the valid ones", async () => {
    const embeddings = open([tiny, standard]);
    await expect(embeddings.space("openai-large")).rejects.toMatchObject({
      code: "not_found",
      message: 'There is no space "openai-large". There are: static-16, candor-static-256.',
    });
    await expect(embeddings.space("spc_01ARZ3NDEKTSV4RRFFQ69G5FAV")).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("after a restart a stored id answers with its tokenizer's folder and can embed at once", async () => {
    const { id } = await open([standard, tiny]).space("static-16");
    const embeddings = open([standard, tiny]);
    const space = await embeddings.space(id);
    expect(await embeddings.folderOf(space)).toBe(tiny);
    expect(vectorOf((await embeddings.embed(space, ["cat"], { kind: "query" }))[0])).toHaveLength(
      16,
    );
  });

  test("a space whose model is gone is still known by its id; to embed in it says what is missing", async () => {
    const { id } = await open([tiny]).space();
    const embeddings = open([standard]);
    const space = await embeddings.space(id);
    expect(space).toMatchObject({ id, name: "static-16", default: false });
    const asked = embeddings.embed(space, ["cat"], { kind: "query" });
    await expect(asked).rejects.toMatchObject({
      code: "not_found",
      message: /static-16.*not here/,
    });
    await expect(embeddings.folderOf(space)).rejects.toMatchObject({ code: "not_found" });
  });

  test("a broken model is told as it is, and keeps no other from being found", async () => {
    const folder = join(freshFolder(onTestFinished), "broken");
    cpSync(tiny, folder, { recursive: true });
    writeFileSync(join(folder, "model.safetensors"), "nothing");
    const embeddings = open([folder, standard]);
    expect(await embeddings.space("candor-static-256")).toMatchObject({ default: false });
    for (const asked of [embeddings.space(), embeddings.list(), embeddings.space("broken")])
      await expect(asked).rejects.toMatchObject({ code: "model_invalid" });
  });

  test("the same files with another limit are another space", async () => {
    const folder = join(freshFolder(onTestFinished), "static-16");
    writeStaticModel(folder, (files) =>
      editJson(files, "config.json", (json) => {
        json["max_tokens"] = 8;
      }),
    );
    const embeddings = open([tiny, folder]);
    const [first, second] = await embeddings.list();
    expect(first?.id).not.toBe(second?.id);
    expect(second?.maxTokens).toBe(8);
  });

  test("counts are of the rows", async () => {
    const embeddings = open([tiny]);
    const space = await embeddings.space();
    expect(await embeddings.counts(space, everything)).toEqual({ vectors: 0, collections: 0 });
    await rooms.database.write(({ tables }) =>
      tables
        .insertInto("vectors")
        .values({ chunk_key: "one", space_id: space.id, vector: new Uint8Array(64) })
        .execute(),
    );
    expect(await embeddings.counts(space, everything)).toEqual({ vectors: 1, collections: 0 });
  });
});

describe("embedding", () => {
  test("one outcome per text, in order: a text that fails has its error and takes no other with it", async () => {
    const embeddings = open([standard]);
    const space = await embeddings.space();
    const before = counted(space.name);
    const texts = ["a cat", "", "a dog", "\u200b"];
    const items = await embeddings.embed(space, texts, { kind: "passage" });
    expect(items.map((item) => [item.index, "error" in item ? item.error.code : "ok"])).toEqual([
      [0, "ok"],
      [1, "text_without_tokens"],
      [2, "ok"],
      [3, "text_without_tokens"],
    ]);
    expect(spaceOf(vectorOf(items[0]))).toBe(space.id);
    expect(vectorOf(items[0]).buffer.byteLength).toBe(256 * 4);
    const after = counted(space.name);
    expect((after["ok"] ?? 0) - (before["ok"] ?? 0)).toBe(2);
    expect((after["text_without_tokens"] ?? 0) - (before["text_without_tokens"] ?? 0)).toBe(2);
  });

  test("the same text has the same vector, alone, in a batch and on every retry", async () => {
    const embeddings = open([standard]);
    const space = await embeddings.space();
    const one = await embeddings.embed(space, ["restore a backup"], { kind: "query" });
    const many = await embeddings.embed(space, ["other", "restore a backup", "more"], {
      kind: "query",
    });
    expect([...vectorOf(many[1])]).toEqual([...vectorOf(one[0])]);
    expect(cosine(vectorOf(one[0]), vectorOf(many[1]))).toBeCloseTo(1, 6);
  });

  test("a text that is longer than the model reads says both lengths", async () => {
    const embeddings = open([tiny]);
    const space = await embeddings.space();
    const long = Array.from({ length: 40 }, () => "cat").join(" ");
    const [item] = await embeddings.embed(space, [long], { kind: "query" });
    expect(item).toMatchObject({ tokens: 16, truncated: { tokens: 40, limit: 16 } });
  });

  test("rows without direction are inference_failed, never a vector", async () => {
    const folder = join(freshFolder(onTestFinished), "flat");
    writeStaticModel(folder, (files) => {
      for (let row = 0; row < 212; row += 1) setScale(files, row, 0);
    });
    const embeddings = open([folder]);
    const space = await embeddings.space();
    const [item] = await embeddings.embed(space, ["cat"], { kind: "query" });
    expect(item).toMatchObject({ index: 0, error: { code: "inference_failed" } });
    expect(item).not.toHaveProperty("embedding");
  });

  test("a model whose files go while it is in use fails as a whole, and works again when they are back", async () => {
    const folder = join(freshFolder(onTestFinished), "gone");
    cpSync(tiny, folder, { recursive: true });
    const idle = createStaticRuntime({
      workers: createWorkers({ onFault: () => {} }),
      threads: 1,
      idleMs: 1,
    });
    const { database, metrics } = rooms;
    const embeddings = createEmbeddings({ database, metrics, runtime: idle, folders: [folder] });
    const space = await embeddings.space();
    const embed = () => embeddings.embed(space, ["cat"], { kind: "query" });
    expect(await embed()).toHaveLength(1);
    rmSync(join(folder, "model.safetensors"));
    const outcome = () =>
      embed().then(
        () => "embedded",
        (thrown: unknown) => toCandorError(thrown).code,
      );
    await expect.poll(outcome, { timeout: 10_000 }).toBe("model_file_missing");
    copyFileSync(join(tiny, "model.safetensors"), join(folder, "model.safetensors"));
    expect(vectorOf((await embed())[0])).toHaveLength(16);
    await idle.dispose();
  });

  test("nothing asked, nothing called; a cancelled call is refused", async () => {
    const embeddings = open([tiny]);
    const space = await embeddings.space();
    expect(await embeddings.embed(space, [], { kind: "query" })).toEqual([]);
    const signal = AbortSignal.abort();
    await expect(embeddings.embed(space, ["cat"], { kind: "query", signal })).rejects.toMatchObject(
      {
        code: "cancelled",
      },
    );
  });

  test("the shares of token pairs add up to the cosine", async () => {
    const embeddings = open([standard]);
    const space = await embeddings.space();
    const [query, passage] = ["restore the database", "How to bring a database back from a copy"];
    const { pairs, otherShare, sum } = await embeddings.pairs(space, query, passage);
    const [a] = await embeddings.embed(space, [query], { kind: "query" });
    const [b] = await embeddings.embed(space, [passage], { kind: "passage" });
    expect(Math.abs(sum - cosine(vectorOf(a), vectorOf(b)))).toBeLessThanOrEqual(1e-6);
    const listed = pairs.reduce((total, { share }) => total + share, otherShare);
    expect(Math.abs(listed - sum)).toBeLessThanOrEqual(1e-9);
    for (const pair of pairs)
      expect(query.slice(pair.query.from, pair.query.to)).toBe(pair.query.text);
  });
});
