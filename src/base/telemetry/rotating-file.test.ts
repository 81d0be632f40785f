import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fastCheck from "fast-check";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createRotatingFile } from "./rotating-file.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "candor-rotate-"));
  path = join(folder, "x.log");
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

const contents = () =>
  Object.fromEntries(
    readdirSync(folder)
      .toSorted()
      .map((name) => [name, readFileSync(join(folder, name), "utf8")]),
  );

it("fills each file to its limit exactly and keeps so many old ones", () => {
  const file = createRotatingFile({ path, maximumBytes: 10, kept: 2 });
  for (const text of ["aaaa\n", "bbbb\n", "cccc\n", "dddd\n", "eeee\n", "ffff\n", "gggg\n"])
    file.write(text);
  file.close();
  expect(contents()).toEqual({
    "x.log": "gggg\n",
    "x.log.1": "eeee\nffff\n",
    "x.log.2": "cccc\ndddd\n",
  });
});

it("counts bytes, not characters, and goes on where an earlier run stopped", () => {
  writeFileSync(path, "12345678");
  const file = createRotatingFile({ path, maximumBytes: 10, kept: 1 });
  file.write("é");
  file.write("x");
  file.close();
  expect(contents()).toEqual({ "x.log": "x", "x.log.1": "12345678é" });
});

it("writes a text that is longer than a file whole, alone", () => {
  const file = createRotatingFile({ path, maximumBytes: 4, kept: 2 });
  for (const text of ["a", "too long", "b"]) file.write(text);
  file.close();
  expect(contents()).toEqual({ "x.log": "b", "x.log.1": "too long", "x.log.2": "a" });
});

it("deletes old files beyond a smaller number", () => {
  for (const number of [1, 2, 3, 4, 20]) writeFileSync(`${path}.${number}`, String(number));
  const file = createRotatingFile({ path, maximumBytes: 1, kept: 2 });
  file.write("a");
  file.write("b");
  file.close();
  expect(contents()).toEqual({ "x.log": "b", "x.log.1": "a", "x.log.2": "1" });
});

it("loses nothing and never exceeds the limit, whatever is written", () => {
  const texts = fastCheck.array(
    fastCheck.string({ unit: "grapheme", minLength: 1, maxLength: 12 }),
    { maxLength: 20 },
  );
  fastCheck.assert(
    fastCheck.property(texts, (written) => {
      for (const name of readdirSync(folder)) rmSync(join(folder, name));
      const file = createRotatingFile({ path, maximumBytes: 100, kept: 20 });
      for (const text of written) file.write(text);
      file.close();
      const names = ["", ...Array.from({ length: 20 }, (_, n) => `.${n + 1}`)]
        .map((end) => `x.log${end}`)
        .toReversed();
      const found = contents();
      expect(names.map((name) => found[name] ?? "").join("")).toBe(written.join(""));
      for (const content of Object.values(found))
        expect(Buffer.byteLength(content)).toBeLessThanOrEqual(100);
    }),
  );
});

it("begins anew when somebody moved or deleted the file", () => {
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const file = createRotatingFile({ path, maximumBytes: 100, kept: 1 });
  file.write("a");
  renameSync(path, join(folder, "moved"));
  now = 1000;
  file.write("b");
  rmSync(path);
  now = 2000;
  file.write("c");
  file.close();
  expect(contents()).toEqual({ moved: "a", "x.log": "c" });
});

it("opens the file again after it was closed", () => {
  const file = createRotatingFile({ path, maximumBytes: 100, kept: 1 });
  file.write("a");
  file.close();
  file.close();
  file.write("b");
  file.close();
  expect(contents()).toEqual({ "x.log": "ab" });
});

it("begins a new line after one that was written in part", () => {
  const module = JSON.stringify(new URL("./rotating-file.ts", import.meta.url).href);
  // With a limit on the size of files the system writes what fits and then refuses; cutting the file makes room again.
  const script = `const { createRotatingFile } = await import(${module});
    const { truncateSync } = await import("node:fs");
    const path = ${JSON.stringify(path)};
    const file = createRotatingFile({ path, maximumBytes: 1e6, kept: 1 });
    file.write("a\\n");
    try { file.write("b".repeat(5000)); } catch (thrown) { console.log(thrown.code); }
    truncateSync(path, 4);
    file.write("c\\n");`;
  const { stdout } = spawnSync(
    "sh",
    [
      "-c",
      'trap "" XFSZ; ulimit -f 1; exec "$0" --input-type=module -e "$1"',
      process.execPath,
      script,
    ],
    { encoding: "utf8" },
  );
  expect(stdout).toBe("EFBIG\n");
  expect(contents()).toEqual({ "x.log": "a\nbb\nc\n" });
});
