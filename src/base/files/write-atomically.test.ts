import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { freshFolder } from "../../../test/fixtures/rooms/open-rooms.ts";
import { writeAtomically } from "./index.ts";

it("replaces a file whole, private to this user, and leaves nothing beside it", async () => {
  const folder = freshFolder(onTestFinished);
  const path = join(folder, "file.json");
  writeFileSync(path, "old");
  await writeAtomically(path, "new");
  expect(readFileSync(path, "utf8")).toBe("new");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  await writeAtomically(path, new Uint8Array([1, 2, 3]));
  expect([...readFileSync(path)]).toEqual([1, 2, 3]);
  expect(readdirSync(folder)).toEqual(["file.json"]);
});

it("leaves the old file and no remains when it fails", async () => {
  const folder = freshFolder(onTestFinished);
  const path = join(folder, "taken");
  mkdirSync(join(path, "inside"), { recursive: true });
  await expect(writeAtomically(path, "x")).rejects.toMatchObject({
    code: "data_directory_unusable",
    message: expect.stringMatching(/taken could not be written: (?:EISDIR|ENOTEMPTY|EEXIST)/),
  });
  expect(readdirSync(folder)).toEqual(["taken"]);
  await expect(writeAtomically(join(folder, "none", "x"), "x")).rejects.toThrow(/ENOENT/);
});

it("lets many writers of one file follow one another without a torn file", async () => {
  const folder = freshFolder(onTestFinished);
  const path = join(folder, "file");
  const contents = Array.from({ length: 20 }, (_, number) => String(number).repeat(50_000));
  await Promise.all(contents.map((content) => writeAtomically(path, content)));
  expect(contents).toContain(readFileSync(path, "utf8"));
  expect(readdirSync(folder)).toEqual(["file"]);
});
