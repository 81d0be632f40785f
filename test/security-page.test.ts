import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const repository = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(repository, path), "utf8");
const page = read("docs/security.md");

/** Items of OWASP ASVS 5.0 that a reader looks for: each stands in the table, or among what is not there. */
const items =
  "V1.2.5 V1.3.6 V4.1.1 V4.1.3 V4.4 V5.2.1 V5.2.2 V5.2.3 V5.2.4 V5.2.5 V5.2.6 V5.3.2 V5.3.3 V5.4.1 V5.4.2 V6.3.1 V6.3.2 V8.2.1 V8.2.2 V8.2.3 V8.3.2 V9.1.1 V12.1.1 V13.3.1 V15.1.2 V16.2.5 V16.3.1 V16.3.2 V16.3.3 V16.4.1 V16.4.2 V16.5.1 V16.5.2 V16.5.3 V16.5.4".split(
    " ",
  );

/** Every line of a test file on which a title can stand. */
function titleLines(path: string): string {
  return read(path)
    .split("\n")
    .filter((line) => /^\s*(?:test|it|describe|["'`]|[\])]+\(["'`])/.test(line))
    .join("\n");
}

/** What a page says is proven, and is not: files that are not there, titles that no test in the file has, rows without a proof. */
function unproven(text: string): string[] {
  const faults: string[] = [];
  for (const [, path = ""] of text.matchAll(
    /`((?:(?:src|test|bin|scripts|docs)\/[\w./-]+)|\.?[\w-]+\.json)`/g,
  ))
    if (!existsSync(join(repository, path))) faults.push(`${path} is not there`);
  for (const [, path = "", titles = ""] of text.matchAll(
    /`([\w./-]+\.test\.ts)`: ("[^"]+"(?:, "[^"]+")*)/g,
  ))
    if (existsSync(join(repository, path)))
      for (const [, title = ""] of titles.matchAll(/"([^"]+)"/g))
        if (!titleLines(path).includes(title)) faults.push(`${path} has no test "${title}"`);
  for (const line of text.split("\n").filter((row) => /^\| V\d/.test(row)))
    if (!/\.test\.ts`: "/.test(line)) faults.push(`nothing proves ${line.slice(0, 40)}`);
  return faults;
}

test("every file and every test that the page names is there, and every item has one", () => {
  expect(unproven(page)).toEqual([]);
  expect(page.match(/\.test\.ts`: "/g)?.length).toBeGreaterThan(50);
});

test("every item that a reader looks for is in the table, or among what is not there", () => {
  expect(
    items.filter((item) => !new RegExp(`\\b${item.replaceAll(".", "\\.")}\\b`).test(page)),
  ).toEqual([]);
});

describe("the check sees", () => {
  test.each([
    ["a file that is gone", "| `src/base/access/gone.ts` |", /is not there/],
    ["a test that is gone", '`test/docs.test.ts`: "no such title"', /has no test/],
    ["a text that is no title", '`test/docs.test.ts`: "docs/requirements.md"', /has no test/],
    ["an item without a proof", "| V1.1.1 | short | does | `src/app.ts` | trust us |", /nothing/],
  ])("%s", (_what, text, fault) => {
    expect(unproven(text)).toEqual([expect.stringMatching(fault)]);
  });
});

test("nothing that serves starts a child process", () => {
  const starting = globSync("src/**/*.ts", { cwd: repository })
    .filter((path) => !path.endsWith(".test.ts"))
    .filter((path) => /child_process|cluster["']/.test(read(path)));
  expect(starting).toEqual([]);
});
