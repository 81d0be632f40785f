import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { stream } from "#base/network/index.ts";
import { openTestDoor, type TestDoor } from "./open-test-door.ts";
import { ended, sampleOperations, slow } from "./sample-operations.ts";

let door: TestDoor;
let user: Record<string, string>;

beforeAll(async () => {
  door = await openTestDoor(sampleOperations, {
    flags: { "server.bodyLimitMegabytes": 2 },
    limits: { heartbeatMs: 10 },
  });
  user = await door.as("api_user");
  door.app.jobs.define<{ items: string[] }>({
    kind: "samples.work",
    unit: "items",
    run: async ({ input, ...job }) => {
      job.expect(input.items.length);
      for (const item of input.items)
        await job.finish(item, { outcome: "done" }, async () => undefined);
      return { items: input.items.map((key) => ({ key })), errors: [] };
    },
  });
});
afterAll(() => door.close());

describe("files", () => {
  const boundary = "----candor";
  type Part = { name: string; content: string | Buffer; file?: string; type?: string };

  async function send(parts: readonly Part[], end = true) {
    const pieces = parts.flatMap(({ name, content, file, type }) => [
      Buffer.from(
        `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${file === undefined ? "" : `; filename="${file}"`}\r\n${type === undefined ? "" : `Content-Type: ${type}\r\n`}\r\n`,
      ),
      Buffer.from(content),
      Buffer.from("\r\n"),
    ]);
    return door.server.inject({
      method: "POST",
      url: "/api/v1/samples/upload",
      headers: { ...user, "content-type": `multipart/form-data; boundary=${boundary}` },
      payload: Buffer.concat([...pieces, Buffer.from(end ? `--${boundary}--\r\n` : "")]),
    });
  }

  test("come with their name and type, beside fields in the types of the schema", async () => {
    const answer = await send([
      { name: "metadata", content: '{"a":1}' },
      { name: "file", content: Buffer.from([0, 255, 13, 10]), file: "x.md", type: "text/markdown" },
    ]);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({
      bytes: 4,
      name: "x.md",
      mediaType: "text/markdown",
      metadata: { a: 1 },
    });
  });

  test("a type that says nothing is null, a path keeps its last part", async () => {
    const answer = await send([
      { name: "file", content: "x", file: "../../etc/x.md", type: "application/octet-stream" },
    ]);
    expect(answer.json()).toMatchObject({ name: "x.md", mediaType: null });
  });

  test("JSON is taken as well", async () => {
    const answer = await door.server.inject({
      method: "POST",
      url: "/api/v1/samples/upload",
      headers: user,
      payload: { content: "text" },
    });
    expect(answer.json()).toMatchObject({ bytes: 4, name: null });
  });

  test.each<[string, Part[], number]>([
    ["an unknown field", [{ name: "other", content: "x" }], 422],
    ["a file in another field", [{ name: "other", content: "x", file: "a.md" }], 422],
    ["text in place of the file", [{ name: "file", content: "x" }], 422],
    [
      "two files",
      [
        { name: "file", content: "x", file: "a.md" },
        { name: "file", content: "y", file: "b.md" },
      ],
      413,
    ],
    ["a prototype", [{ name: "__proto__", content: "x" }], 400],
    [
      "more than the limit",
      [{ name: "file", content: Buffer.alloc(2 * 1024 * 1024 + 1), file: "a" }],
      413,
    ],
    ["a long text", [{ name: "content", content: "x".repeat(1024 * 1024 + 1) }], 413],
    ["many fields", Array.from({ length: 30 }, () => ({ name: "content", content: "x" })), 413],
  ])("%s is refused", async (_what, parts, status) => {
    const answer = await send(parts);
    expect(answer.statusCode).toBe(status);
    expect(answer.headers["content-type"]).toMatch(/^application\/problem\+json/);
  });

  test.each(["form-data", 'form-data; name=""'])(
    "a part %s without a name is malformed",
    async (disposition) => {
      const answer = await door.server.inject({
        method: "POST",
        url: "/api/v1/samples/upload",
        headers: { ...user, "content-type": "multipart/form-data; boundary=x" },
        payload: `--x\r\nContent-Disposition: ${disposition}\r\n\r\ntext\r\n--x--\r\n`,
      });
      expect(answer.statusCode).toBe(400);
      expect(answer.json().detail).toBe("A part of the form has no name.");
    },
  );

  test("a form that breaks off is malformed", async () => {
    const answer = await send([{ name: "file", content: "x", file: "a.md" }], false);
    expect(answer.statusCode).toBe(400);
    expect(answer.json().code).toBe("malformed_request");
  });
});

describe("jobs", () => {
  const start = (query: string) =>
    door.server.inject({
      method: "POST",
      url: `/api/v1/samples/work${query}`,
      headers: user,
      payload: { items: ["a", "b"] },
    });

  test("are answered at once with 202", async () => {
    for (const query of ["", "?wait=false"]) {
      const answer = await start(query);
      expect(answer.statusCode).toBe(202);
      expect(answer.json().job.id).toMatch(/^job_/);
      expect(answer.json()).not.toHaveProperty("items");
    }
  });

  test("or with their end and their items to who waits", async () => {
    const answer = await start("?wait=true");
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({
      job: { state: "succeeded", done: 2 },
      items: [{ key: "a" }, { key: "b" }],
      errors: [],
    });
  });

  test("wait takes true and false only", async () => {
    const answer = await start("?wait=1");
    expect(answer.statusCode).toBe(422);
    expect(answer.json().errors).toEqual([
      { pointer: "/wait", message: "takes true or false", valid: [true, false] },
    ]);
  });
});

describe("streams", () => {
  beforeEach(() => void (ended.count = 0));

  const ask = (query: string, headers: Record<string, string> = {}) =>
    door.server.inject({ url: `/api/v1/counting${query}`, headers: { ...user, ...headers } });

  test("send each event with its sequence, and end", async () => {
    const answer = await ask("?to=2");
    expect(answer.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
    expect(answer.body).toBe(
      'id: 1\nevent: count.step\ndata: {"at":1}\n\nid: 2\nevent: count.step\ndata: {"at":2}\n\n',
    );
  });

  test("go on after the event that a late client names", async () => {
    const text = 'id: 3\nevent: count.step\ndata: {"at":3}\n\n';
    expect((await ask("?since=2")).body).toBe(text);
    expect((await ask("", { "last-event-id": "2" })).body).toBe(text);
    expect((await ask("?since=2", { "last-event-id": "1" })).body).toBe(text);
    const bad = await ask("", { "last-event-id": "x" });
    expect(bad.statusCode).toBe(422);
    expect(bad.json().errors[0].pointer).toBe("/since");
  });

  test("that are refused answer with a problem", async () => {
    const answer = await ask("?after=refuse");
    expect(answer.statusCode).toBe(404);
    expect(answer.json().code).toBe("not_found");
  });

  test("that fail on the way say so in an event, with the ledger entry", async () => {
    const answer = await ask("?after=fail");
    const [, text = ""] = /event: error\ndata: (.*)\n\n$/.exec(answer.body) ?? [];
    const problem = JSON.parse(text);
    expect(problem).toMatchObject({ code: "inference_failed", status: 500 });
    const entry = await door.app.ledger.get(problem.instance.replace("urn:candor:", ""));
    expect(entry.correlationId).toBe(answer.headers["x-request-id"]);
  });

  test("show that they live, and end when the client goes", async () => {
    const key = user["authorization"]?.replace("Bearer ", "") ?? "";
    const answer = await fetch(`${door.url}/api/v1/counting?after=wait`, {
      headers: { authorization: `Bearer ${key}` },
    });
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes(": heartbeat\n\n")) text += (await reader?.read())?.value;
    expect(text).toContain("id: 3");
    await reader?.cancel();
    await expect.poll(() => ended.count).toBe(1);
  });

  test("are no faster than their client", async () => {
    const key = user["authorization"]?.replace("Bearer ", "") ?? "";
    const target = { url: door.url, key };
    const request = { method: "GET", path: "/api/v1/counting", query: { to: "100000" } } as const;
    let count = 0;
    let last = "";
    const refused = () => {
      throw new TypeError("refused");
    };
    for await (const event of stream(target, request, refused)) {
      count += 1;
      last = JSON.stringify(event.data);
    }
    expect(count).toBe(100_000);
    expect(last).toBe('{"at":100000}');
  });
});

describe("time", () => {
  test("an operation is told to stop when its client goes", async () => {
    Object.assign(slow, { running: 0, stopped: 0 });
    const controller = new AbortController();
    const asked = fetch(`${door.url}/api/v1/samples/slow`, {
      method: "POST",
      headers: { authorization: user["authorization"] ?? "" },
      signal: controller.signal,
    });
    await expect.poll(() => slow.running).toBe(1);
    controller.abort();
    await expect(asked).rejects.toThrow();
    await expect.poll(() => slow.stopped).toBe(1);
    const log = () => readFile(join(door.home, "logs", "candor.log"), "utf8");
    await expect.poll(log).toMatch(/"route":"\/api\/v1\/samples\/slow","status":499/);
  });
});
