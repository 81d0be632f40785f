import { mkdtemp, readdir, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { isProcessAlive, readServerFile, removeServerFile, writeServerFile } from "./index.ts";

const server = {
  url: "http://127.0.0.1:7340",
  pid: process.pid,
  key: "candor_local_abc",
  version: "0.1.0",
  startedAt: "2026-01-02T03:04:05.678Z",
};
let run: string;
beforeEach(async () => {
  run = await mkdtemp(join(tmpdir(), "candor-run-"));
});

test("what was written is read again, private to this user and with nothing beside it", async () => {
  expect(await readServerFile(run)).toBeNull();
  await writeServerFile(run, server);
  await writeServerFile(run, { ...server, key: "candor_local_def" });
  expect(await readServerFile(run)).toEqual({ ...server, key: "candor_local_def" });
  expect(await readdir(run)).toEqual(["server.json"]);
  if (process.platform !== "win32")
    expect((await stat(join(run, "server.json"))).mode & 0o777).toBe(0o600);
});

test("a process removes only its own file", async () => {
  await writeServerFile(run, server);
  await removeServerFile(run, "candor_local_other");
  expect(await readServerFile(run)).toEqual(server);
  await removeServerFile(run, server.key);
  expect(await readServerFile(run)).toBeNull();
  await removeServerFile(run, server.key);
});

test.each(["", "{", "[]", '{"url":"http://127.0.0.1:1"}', '{"url":"x","pid":-1}'])(
  "a file that no Candor wrote is an error with a next step: %j",
  async (content) => {
    await writeFile(join(run, "server.json"), content);
    await expect(readServerFile(run)).rejects.toMatchObject({
      code: "format_invalid",
      nextStep: { text: expect.stringContaining("Delete the file") },
    });
  },
);

test("a folder that is gone is the same error as one that cannot be written", async () => {
  await expect(writeServerFile(join(run, "gone"), server)).rejects.toMatchObject({
    code: "data_directory_unusable",
  });
});

test("this process lives, one that cannot exist does not", () => {
  expect(isProcessAlive(process.pid)).toBe(true);
  expect(isProcessAlive(2 ** 31 - 1)).toBe(false);
});
