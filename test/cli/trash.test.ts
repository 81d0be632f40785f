import { join } from "node:path";
import { expect, test } from "vitest";
import { makeHome, runCandor, writeFiles } from "./run-candor.ts";

test("what is deleted is listed, restored and removed for good from the command line", async () => {
  const home = await makeHome();
  await writeFiles(home, { "notes/a.md": "# Gulls\n\nGulls nest on the cliff.\n" });
  const run = async (...words: string[]) => {
    const { code, stdout, stderr } = await runCandor(home, words);
    return { code, stdout, stderr };
  };
  const json = async (...words: string[]) => {
    const { stdout } = await run(...words, "--json");
    return JSON.parse(stdout) as Record<string, unknown>;
  };
  await run("index", join(home, "notes"), "--collection", "notes");
  const deleted = await json("docs", "delete", "a.md", "--collection", "notes");
  const { trash } = deleted["undo"] as { trash: string };
  const listed = await run("trash");
  expect(listed).toMatchObject({ code: 0, stdout: expect.stringMatching(/a\.md +notes +1 /) });
  expect(listed.stdout).toContain(trash);
  expect(await run("trash", "empty")).toMatchObject({ code: 2 });
  expect(await json("trash", "restore", trash)).toMatchObject({ kind: "document", name: "a.md" });
  expect(await json("trash", "empty", "--all", "--dry-run")).toMatchObject({
    emptied: { entries: 0 },
    dryRun: true,
  });
  expect(await json("storage", "cleanup", "--no-dry-run")).toMatchObject({ dryRun: false });
}, 120_000);
