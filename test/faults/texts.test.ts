import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  closeWorkplaces,
  countContent,
  entryOf,
  failedItems,
  type JobAnswer,
  openWorkplace,
  type Server,
  type Workplace,
} from "./start-server.ts";

/** The tiny model reads 16 tokens of a text; its token [PAD] has no direction. */
const model = fileURLToPath(new URL("../fixtures/static-16", import.meta.url));

let workplace: Workplace;
let server: Server;

beforeAll(async () => {
  workplace = await openWorkplace();
  server = await workplace.serve({ CANDOR_MODELS_STATIC: model });
  await server.ask("POST", "/collections", { name: "notes" });
});
afterAll(closeWorkplaces);

type Embedded = {
  vector?: number[];
  truncated?: boolean;
  error?: { code: string; instance: string };
};

async function embed(inputs: string[]): Promise<Embedded[]> {
  const { status, body } = await server.ask("POST", "/embeddings", { kind: "passage", inputs });
  expect(status).toBe(200);
  return body["items"] as Embedded[];
}

const withoutDirection = ["[PAD]", "inference_failed"] as const;
const withoutTokens = ["\u0000 \t", "text_without_tokens"] as const;

describe("embeddings", () => {
  test("half a batch that fails leaves the other half as it is alone", async () => {
    const body = {
      kind: "passage",
      inputs: ["water", withoutDirection[0], "fire", withoutTokens[0]],
    };
    const answer = await server.ask("POST", "/embeddings", body);
    expect(answer).toMatchObject({ status: 200, body: { done: 2, failed: 2 } });
    const items = answer.body["items"] as Embedded[];
    expect(items.map(({ error }) => error?.code)).toEqual([
      undefined,
      withoutDirection[1],
      undefined,
      withoutTokens[1],
    ]);
    for (const [index, item] of items.entries()) {
      expect("vector" in item).toBe(item.error === undefined);
      if (item.error)
        expect(await entryOf(server, item.error.instance)).toMatchObject({
          code: item.error.code,
          item: `inputs/${index}`,
        });
    }
    const [water] = await embed(["water"]);
    const [fire] = await embed(["fire"]);
    expect([items[0]?.vector, items[2]?.vector]).toEqual([water?.vector, fire?.vector]);
  });

  test.each([withoutDirection, withoutTokens])("%j alone is the error", async (text, code) => {
    const body = { kind: "query", inputs: [text] };
    expect((await server.ask("POST", "/embeddings", body)).body).toMatchObject({ code });
    const search = await server.ask("POST", "/search", {
      query: text,
      mode: "semantic",
      collections: ["notes"],
    });
    expect(search.body).toMatchObject({ code });
  });

  test("the command prints what was made, names what was not, and ends with 4", async () => {
    const { code, stdout } = await workplace.candor([
      "embed",
      "water",
      withoutDirection[0],
      "--kind",
      "passage",
      "--json",
    ]);
    expect(code).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({
      done: 1,
      failed: 1,
      items: [{ index: 0 }, { index: 1, error: { code: withoutDirection[1] } }],
    });
  });

  test("a text longer than the model reads is cut, and that is said", async () => {
    const sixteen = Array.from({ length: 16 }, () => "water").join(" ");
    const inputs = [sixteen, `${sixteen} fire fire`];
    const answer = await server.ask("POST", "/embeddings", { kind: "passage", inputs });
    const [whole, cut] = answer.body["items"] as Embedded[];
    expect([whole?.truncated, cut?.truncated]).toEqual([false, true]);
    expect(cut?.vector).toEqual(whole?.vector);
    expect(answer.body["notices"]).toEqual([
      expect.objectContaining({
        code: "input_truncated",
        details: { index: 1, tokens: 18, limit: 16 },
      }),
    ]);
    const query = { query: `${sixteen} fire fire`, collections: ["notes"] };
    expect((await server.ask("POST", "/search", query)).body["notices"]).toContainEqual(
      expect.objectContaining({ code: "input_truncated", details: { tokens: 18, limit: 16 } }),
    );
  });
});

describe("documents", () => {
  test("one whose text has no direction stores nothing", async () => {
    const before = countContent(workplace.home);
    const document = { key: "bad.txt", content: withoutDirection[0] };
    const answer = await server.ask("POST", "/collections/notes/documents", document);
    expect(answer).toMatchObject({ status: 500, body: { code: withoutDirection[1] } });
    expect(await entryOf(server, answer.body["instance"])).toMatchObject({
      code: withoutDirection[1],
    });
    expect(countContent(workplace.home)).toEqual(before);
  });

  test("of a batch, those that fail are named and the others are stored", async () => {
    const documents = Array.from({ length: 12 }, (_, index) => ({
      key: `batch/${index}.txt`,
      content: index % 2 === 0 ? `water and number ${index}` : withoutDirection[0],
    }));
    const before = countContent(workplace.home);
    const answer = await server.ask("POST", "/collections/notes/documents/batch?wait=true", {
      documents,
    });
    expect(answer).toMatchObject({ status: 200, body: { done: 6, failed: 6 } });
    const job = answer.body["job"] as JobAnswer;
    expect(job.state).toBe("partial");
    const failed = await failedItems(server, job.id);
    expect(failed.map(({ code }) => code)).toEqual(Array(6).fill(withoutDirection[1]));
    const held = countContent(workplace.home);
    expect(held["documents"]).toBe((before["documents"] ?? 0) + 6);
    expect(held["vectors"]).toBe((before["vectors"] ?? 0) + 6);
  });

  test("a batch of which nothing succeeds has failed", async () => {
    const documents = [{ key: "x.txt", content: withoutDirection[0] }];
    const answer = await server.ask("POST", "/collections/notes/documents/batch?wait=true", {
      documents,
    });
    const job = answer.body["job"] as JobAnswer;
    expect(job).toMatchObject({ state: "failed", error: { code: "job_below_threshold" } });
    expect(await entryOf(server, job.error?.["instance"])).toMatchObject({
      code: "job_below_threshold",
      jobId: job.id,
    });
  });
});
