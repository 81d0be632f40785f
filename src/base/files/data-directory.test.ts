import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { freshFolder } from "../../../test/fixtures/rooms/open-rooms.ts";
import { diskSpace, openDataDirectory } from "./index.ts";

it("makes every place of a data directory, private to this user, and opens it again", async () => {
  const home = join(freshFolder(onTestFinished), "deep", "home");
  const directory = await openDataDirectory(home);
  for (const path of Object.values(directory)) expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(await openDataDirectory(home)).toEqual(directory);
});

it("says what keeps a place from being one", async () => {
  const file = join(freshFolder(onTestFinished), "file");
  writeFileSync(file, "");
  await expect(openDataDirectory(file)).rejects.toMatchObject({
    code: "data_directory_unusable",
    message: expect.stringContaining(file),
    nextStep: { text: expect.stringContaining("CANDOR_HOME") },
  });
});

it("counts free and total bytes of the disk below a folder", async () => {
  const { freeBytes, totalBytes } = await diskSpace(freshFolder(onTestFinished));
  expect(totalBytes).toBeGreaterThan(0);
  expect(freeBytes).toBeLessThanOrEqual(totalBytes);
  await expect(diskSpace("/does/not/exist")).rejects.toThrow(/ENOENT/);
});
