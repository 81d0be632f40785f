import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { createPost } from "#base/network/index.ts";
import { code, say, serve, serveBytes } from "./local-servers.ts";

describe("posting to a configured address", () => {
  test("reaches this machine, with the headers of that address, and gives any status back", async () => {
    const server = await serve((request, response) => {
      response.writeHead(503, { "retry-after": "3" });
      request.pipe(response);
    });
    const post = createPost({
      url: `http://127.0.0.1:${server.port}/v1/traces`,
      headers: { Authorization: "Bearer secret-1" },
    });
    expect(await post('{"a":"ä"}')).toMatchObject({
      status: 503,
      headers: { "retry-after": "3" },
      text: '{"a":"ä"}',
    });
    expect(await post(Buffer.from("[]"))).toMatchObject({ status: 503, text: "[]" });
    expect(server.hits[0]).toMatchObject({
      path: "/v1/traces",
      headers: { "content-type": "application/json", authorization: "Bearer secret-1" },
    });
  });

  test("follows no redirect and admits nothing but its own origin", async () => {
    const inside = await serve();
    const server = await serve((_, response) =>
      response.writeHead(307, { location: `http://127.0.0.1:${inside.port}/` }).end(),
    );
    await expect(
      createPost({ url: `http://127.0.0.1:${server.port}` })("{}"),
    ).rejects.toMatchObject(code("answer_refused", /redirects once more/));
    expect([server.hits.length, inside.hits.length]).toEqual([1, 0]);
  });

  test("ends at its limits and with its signal", async () => {
    const url = (port: number) => `http://127.0.0.1:${port}`;
    const large = url(await say(`HTTP/1.1 200 OK\r\n\r\n${"x".repeat(65_537)}`));
    await expect(createPost({ url: large })("{}")).rejects.toMatchObject(code("answer_refused"));
    await expect(createPost({ url: large, maxAnswerBytes: 9 })("{}")).rejects.toMatchObject(
      code("answer_refused", /more than 9 bytes/),
    );
    const silent = url(await serveBytes(() => {}));
    await expect(createPost({ url: silent, timeoutMs: 40 })("{}")).rejects.toMatchObject(
      code("destination_timeout", /0\.04 s/),
    );
    const controller = new AbortController();
    const pending = createPost({ url: silent })("{}", controller.signal);
    controller.abort();
    await expect(pending).rejects.toMatchObject(code("cancelled"));
  });

  test.each([
    [{ url: "ftp://127.0.0.1/" }, "destination_refused"],
    [{ url: "http://user:secret-1@127.0.0.1/" }, "destination_refused"],
    [{ url: "collector:4318" }, "destination_refused"],
    [{ url: "http://a.test", headers: { host: "b.test" } }, "input_invalid"],
    [{ url: "http://a.test", headers: { "x-a": "1\n2" } }, "input_invalid"],
    [{ url: "http://a.test", headers: { "content-type": "a/b" } }, "input_invalid"],
  ])("%j is refused before anything is posted", (destination, expected) => {
    expect(() => createPost(destination as Parameters<typeof createPost>[0])).toThrow(
      expect.objectContaining({ code: expected }),
    );
  });
});

test("the proxy of the environment is not used", async () => {
  const server = await serve();
  const proxy = await serve((_, response) => response.end("proxy"));
  const script = `
    import { get } from "node:http";
    import { createPost } from "./src/base/network/index.ts";
    const url = process.argv[1];
    const { text } = await createPost({ url })("{}");
    get(url, async (answer) => console.log(text, Buffer.concat(await answer.toArray()).toString()));
  `;
  const address = `http://127.0.0.1:${proxy.port}`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "--eval", script, `http://127.0.0.1:${server.port}/`],
    {
      cwd: join(import.meta.dirname, "..", ".."),
      env: {
        ...process.env,
        NODE_USE_ENV_PROXY: "1",
        HTTP_PROXY: address,
        http_proxy: address,
        NO_PROXY: "",
        no_proxy: "",
      },
    },
  );
  // The second is Node's own client: the variables are in force.
  expect(stdout.trim()).toBe("here proxy");
  expect([server.hits.length, proxy.hits.length]).toEqual([1, 1]);
});
