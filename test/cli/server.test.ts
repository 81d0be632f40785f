import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeHome, runCandor, startCandor, writeFiles, type Running } from "./run-candor.ts";

let home: string;
let server: Running;
let file: { url: string; pid: number; key: string; startedAt: string };

beforeAll(async () => {
  home = await makeHome();
  await writeFiles(home, { "docs/a.md": "# Apples\n\nApples grow on trees.\n" });
  server = startCandor(home, ["serve", "--port", "0"]);
  await server.saw("Ctrl-C ends the server");
  file = JSON.parse(
    await readFile(join(home, "data", "run", "server.json"), "utf8"),
  ) as typeof file;
});

afterAll(() => {
  server.child.kill("SIGKILL");
});

test("the start prints the address, and one with a one-time token", () => {
  const { stdout } = server.written();
  expect(stdout).toContain(`is ready at ${file.url}\n`);
  expect(stdout).toMatch(new RegExp(`^Open ${file.url}/#token=[\\w-]{40,}$`, "m"));
  expect(file.pid).toBe(server.child.pid);
});

test("commands talk to the running server", async () => {
  const indexed = await runCandor(home, ["index", "docs", "--collection", "fruit", "--json"]);
  expect(indexed.code).toBe(0);
  expect(JSON.parse(indexed.stdout)).toMatchObject({
    job: { state: "succeeded", result: { added: 1 } },
    notices: [{ code: "collection_created" }],
  });
  const info = await runCandor(home, ["info", "--json"]);
  const { startedAt } = JSON.parse(info.stdout) as { startedAt: string };
  expect(Date.parse(startedAt)).toBeLessThanOrEqual(Date.parse(file.startedAt));
});

test("a second server of the data directory is refused with process and address of the first", async () => {
  const { code, stderr } = await runCandor(home, ["serve", "--port", "0"]);
  expect(code).toBe(2);
  expect(stderr).toContain("error (data_directory_in_use)");
  expect(stderr).toContain(`process ${file.pid}, ${file.url}`);
});

test("a busy port is refused with the name of its owner", async () => {
  const other = await makeHome();
  const { code, stderr } = await runCandor(other, ["serve", "--port", new URL(file.url).port]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/error \(port_in_use\).*another Candor/);
});

test("a key that the server does not know ends with 3", async () => {
  const path = join(home, "data", "run", "server.json");
  await writeFile(path, JSON.stringify({ ...file, key: "candor_local_wrong" }));
  const { code, stderr } = await runCandor(home, ["jobs"]);
  await writeFile(path, JSON.stringify(file));
  expect(code).toBe(3);
  expect(stderr).toContain("error (credential_invalid)");
});

test("names of collections are there for completion scripts", async () => {
  const names = await runCandor(home, ["__complete", "collections"]);
  expect(names).toMatchObject({ code: 0, stdout: "fruit\n" });
});

test("a request to end is followed in good order, and the file goes", async () => {
  server.child.kill("SIGTERM");
  const { code, stdout } = await server.ended;
  expect(code).toBe(0);
  expect(stdout).not.toContain("undefined");
  await expect(readFile(join(home, "data", "run", "server.json"))).rejects.toThrow("ENOENT");
});
