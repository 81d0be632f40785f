import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeFiles } from "../cli/run-candor.ts";
import {
  closeWorkplaces,
  countContent,
  entryOf,
  failedItems,
  openWorkplace,
  type Server,
  sync,
  type Workplace,
} from "./start-server.ts";

const plant = new URL("../fixtures/workers/plant-worker-faults.ts", import.meta.url);

/** A thread that dies, one that passes its memory limit, one that does not answer in time. */
const faults = [
  ["death", "worker_crashed", 500],
  ["memory", "out_of_memory", 503],
  ["hang", "worker_timeout", 504],
] as const;

let workplace: Workplace;
let server: Server;

beforeAll(async () => {
  workplace = await openWorkplace();
  server = await workplace.serve({
    NODE_OPTIONS: `--import=${plant.href}`,
    CANDOR_MODELS_STATIC: fileURLToPath(new URL("../fixtures/static-16", import.meta.url)),
    CANDOR_PERFORMANCE_WORKER_TIMEOUT_SECONDS: "2",
    CANDOR_PERFORMANCE_WORKER_MEGABYTES: "64",
  });
});
afterAll(closeWorkplaces);

describe.each(faults)("%s of a worker", (what, code, status) => {
  test("fails the call with its error; the next call has a new thread and the same vector", async () => {
    const good = { kind: "passage", inputs: ["water and fire"] };
    const before = await server.ask("POST", "/embeddings", good);
    const answer = await server.ask("POST", "/embeddings", {
      kind: "passage",
      inputs: ["water and fire", `fault: ${what} in embed`],
    });
    expect(answer).toMatchObject({ status, body: { code, retryable: true } });
    expect(answer.body).not.toHaveProperty("items");
    expect(answer.body["instance"]).toMatch(/^urn:candor:led_/);
    expect(await entryOf(server, answer.body["instance"])).toMatchObject({
      code,
      operation: "embeddings.embed",
      correlationId: answer.body["requestId"],
    });
    const after = await server.ask("POST", "/embeddings", good);
    expect(after).toMatchObject({ status: 200, body: { items: before.body["items"] } });
  });

  test.each(["embed", "prepare"])("in %s stores nothing of the document", async (method) => {
    const before = countContent(workplace.home);
    const collection = `${what}-${method}`;
    expect(await server.ask("POST", "/collections", { name: collection })).toMatchObject({
      status: 201,
    });
    const content = `Much water.\n\n${"A good paragraph.\n\n".repeat(30)}fault: ${what} in ${method}`;
    const answer = await server.ask("POST", `/collections/${collection}/documents`, {
      key: "bad.md",
      content,
    });
    expect(answer).toMatchObject({ status, body: { code } });
    expect(await entryOf(server, answer.body["instance"])).toMatchObject({
      code,
      operation: "documents.add",
    });
    expect(countContent(workplace.home)).toEqual(before);
    const held = await server.ask("GET", `/collections/${collection}`);
    expect(held.body["counts"]).toEqual({ documents: 0, chunks: 0, vectors: 0, bytes: 0 });
  });

  test("fails its file of a sync and no other", async () => {
    const folder = await makeFolder(what);
    await server.ask("POST", "/collections", { name: what });
    const job = await sync(server, what, folder);
    expect(job).toMatchObject({ state: "partial", done: 2, failed: 2, result: { added: 2 } });
    expect(await failedItems(server, job.id)).toMatchObject([
      { item: "b-embed.md", code },
      { item: "c-prepare.md", code },
    ]);
    const { body } = await server.ask("GET", `/collections/${what}`);
    expect(body["counts"]).toMatchObject({ documents: 2, chunks: 2, vectors: 2 });
  });

  test("is told by the command with the same code", async () => {
    const {
      code: exit,
      stdout,
      stderr,
    } = await workplace.candor(["embed", `fault: ${what} in embed`, "--kind", "query"]);
    expect({ exit, stdout }).toEqual({ exit: 1, stdout: "" });
    expect(stderr).toContain(`error (${code})`);
    expect(stderr).toMatch(/ledger entry: led_/);
  });
});

/** Two good files, one that fails where it is read and one that fails where it is embedded. */
async function makeFolder(what: string): Promise<string> {
  const folder = join(workplace.folder, what);
  await writeFiles(folder, {
    "a-good.md": "Water and fire.",
    "b-embed.md": `Mountains. fault: ${what} in embed`,
    "c-prepare.md": `Rivers. fault: ${what} in prepare`,
    "d-good.md": `Moon and sun, seen with ${what}.`,
  });
  return folder;
}

test("indexing by command ends with 4 and names the files that failed", async () => {
  const folder = await makeFolder("death");
  const { code, stderr } = await workplace.candor(["index", folder, "--collection", "by-command"]);
  expect(code).toBe(4);
  for (const item of ["b-embed.md", "c-prepare.md"])
    expect(stderr).toMatch(new RegExp(`failed: ${item}: .* \\(led_`));
});

test("health names the last fault of the workers until they have worked again", async () => {
  const workers = async () => {
    const { body } = await server.ask("GET", "/../../health");
    return (body["checks"] as { name: string }[]).find(({ name }) => name === "workers");
  };
  await server.ask("POST", "/embeddings", { kind: "query", inputs: ["fault: death in embed"] });
  expect(await workers()).toMatchObject({
    state: "degraded",
    detail: expect.stringContaining("the thread died"),
  });
  const document = { key: "good.md", content: "Milk and bread." };
  await server.ask("POST", "/collections/death/documents", document);
  expect(await workers()).toMatchObject({ state: "ok" });
});
