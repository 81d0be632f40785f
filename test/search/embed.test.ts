import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { embeddingsEmbed } from "#operations/embeddings/embed.ts";
import { spacesGet } from "#operations/spaces/get.ts";
import { spacesList } from "#operations/spaces/list.ts";
import { modelFolders, openTestApp, type TestApp } from "../fixtures/rooms/open-test-app.ts";
import { keyPrincipal } from "../fixtures/rooms/principals.ts";

let room: TestApp;
beforeAll(async () => {
  room = await openTestApp({ "models.static": [modelFolders.standard, modelFolders.tiny] });
});
afterAll(() => room.close());

const embed = (inputs: string[], input: object = {}) =>
  room.call(embeddingsEmbed, { inputs, kind: "query", ...input });
const vectors = ({ items }: Awaited<ReturnType<typeof embed>>) =>
  items.map((item) => ("vector" in item ? item.vector : item.error.code));

describe("embeddings.embed", () => {
  test("answers with unit vectors of the default space, and which model made them", async () => {
    const made = await embed(["a cat", "a dog"]);
    expect(made).toMatchObject({
      space: { name: "candor-static-256", dims: 256, modelRevision: /^sha256:/ },
      done: 2,
      failed: 0,
      notices: [],
    });
    for (const vector of vectors(made)) {
      expect(vector).toHaveLength(256);
      expect(Math.hypot(...(vector as number[]))).toBeCloseTo(1, 5);
    }
    expect(vectors(await embed(["a cat", "a dog"]))).toEqual(vectors(made));
  });

  test("base64 is the same numbers as little-endian float32", async () => {
    const [numbers] = vectors(await embed(["a cat"]));
    const [text] = vectors(await embed(["a cat"], { encoding: "base64" }));
    const bytes = Buffer.from(String(text), "base64");
    expect(bytes).toHaveLength(1024);
    const read = Array.from({ length: 256 }, (_, index) => bytes.readFloatLE(index * 4));
    expect(read).toEqual(numbers);
  });

  test("a text that fails answers with its problem and ledger entry, the others with vectors", async () => {
    const made = await embed(["a cat", "", "a dog"]);
    expect(made).toMatchObject({ done: 2, failed: 1 });
    const [, failed] = made.items;
    expect(failed).toMatchObject({ index: 1, error: { code: "text_without_tokens", status: 422 } });
    const instance = failed && "error" in failed ? failed.error.instance : null;
    const entry = await room.app.database.read
      .selectFrom("ledger_entries")
      .select(["item", "operation", "principal"])
      .where("id", "=", String(instance).replace("urn:candor:", ""))
      .executeTakeFirst();
    expect(entry).toEqual({ item: "inputs/1", operation: "embeddings.embed", principal: "local" });
  });

  test("all failing is the problem itself", async () => {
    await expect(embed(["", "\u200b"])).rejects.toMatchObject({ code: "text_without_tokens" });
  });

  test("in another space: its own length, and a notice for each text that was cut", async () => {
    const long = Array.from({ length: 20 }, () => "cat").join(" ");
    for (const space of ["static-16", (await room.call(spacesGet, { space: "static-16" })).id]) {
      const made = await embed(["cat", long], { space, kind: "passage" });
      expect(made.items).toMatchObject([
        { tokens: 1, truncated: false },
        { tokens: 16, truncated: true },
      ]);
      expect(made.notices).toMatchObject([
        { code: "input_truncated", details: { index: 1, tokens: 20, limit: 16 } },
      ]);
      expect(vectors(made)[0]).toHaveLength(16);
    }
  });

  test.each([
    [{ inputs: [] }, "/inputs"],
    [{ inputs: Array.from({ length: 257 }, () => "a") }, "/inputs"],
    [{ inputs: ["a"], kind: "document" }, "/kind"],
    [{ inputs: ["a"], encoding: "hex" }, "/encoding"],
    [{ inputs: [1] }, "/inputs/0"],
    [{ inputs: ["a".repeat(1_000_001)] }, "/inputs/0"],
    [{ inputs: ["a"], model: "x" }, "/model"],
  ])("is refused by the place of the fault %#", async (input, pointer) => {
    const refused = room.call(embeddingsEmbed, { kind: "query", ...input } as never);
    await expect(refused).rejects.toMatchObject({
      code: "input_invalid",
      errors: expect.arrayContaining([expect.objectContaining({ pointer })]),
    });
  });

  test("an unknown space names the valid ones", async () => {
    await expect(embed(["a"], { space: "word2vec" })).rejects.toMatchObject({
      code: "not_found",
      message: /static-16/,
    });
  });

  test("many at the same time are each their own", async () => {
    const texts = Array.from({ length: 30 }, (_, index) => `sentence number ${index}`);
    const together = await Promise.all(texts.map((text) => embed([text])));
    const [all] = [await embed(texts)];
    expect(together.map((one) => vectors(one)[0])).toEqual(vectors(all));
  });
});

describe("spaces", () => {
  test("are listed with what they are and hold, the default one first", async () => {
    const { items, total, nextCursor } = await room.call(
      spacesList,
      {},
      keyPrincipal("any", "read_only"),
    );
    expect([total, nextCursor]).toEqual([2, null]);
    expect(items).toMatchObject([
      {
        name: "candor-static-256",
        runtime: "static",
        pooling: "mean",
        normalized: true,
        dims: 256,
        default: true,
      },
      {
        name: "static-16",
        maxTokens: 16,
        prefixes: { query: "", passage: "" },
        vectors: 0,
        collections: 0,
        default: false,
      },
    ]);
    for (const space of items) {
      expect(await room.call(spacesGet, { space: space.id })).toMatchObject(space);
      expect(await room.call(spacesGet, { space: space.name })).toMatchObject(space);
    }
    await expect(room.call(spacesGet, { space: "nothing" })).rejects.toMatchObject({
      code: "not_found",
    });
  });

  test("right after a start the default one is known as such by its id", async () => {
    const { id } = await room.call(spacesGet, { space: "candor-static-256" });
    await room.app.close();
    room = await openTestApp(
      { "models.static": [modelFolders.standard, modelFolders.tiny] },
      room.folder,
    );
    expect(await room.call(spacesGet, { space: id })).toMatchObject({ id, default: true });
  });
});
