import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as room from "#base/errors/index.ts";
import {
  CandorError,
  categories,
  errorCatalogue,
  noticeCatalogue,
  severities,
} from "#base/errors/index.ts";

const repository = join(import.meta.dirname, "..");

const readAll = (patterns: string[]): { path: string; text: string }[] =>
  globSync(patterns, { cwd: repository, exclude: ["test/error-catalogue.test.ts"] }).map(
    (path) => ({
      path,
      text: readFileSync(join(repository, path), "utf8"),
    }),
  );

/** What the tests say; a remark about an error is no test of it. */
const tests = readAll(["src/**/*.test.ts", "test/**/*.test.ts"])
  .map(({ text }) => text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, ""))
  .join("\n");
const source = readAll(["src/**/*.ts"]).filter(({ path }) => !path.endsWith(".test.ts"));

/** The classes of the catalogue under the names that they are exported with. */
const classes = Object.entries(room).flatMap(([name, value]) =>
  typeof value === "function" && value.prototype instanceof CandorError
    ? [{ name, error: new (value as new (message: string) => CandorError)("for the test") }]
    : [],
);

test("each line of the catalogue has a code and a class of its own", () => {
  const lines = source
    .filter(({ path }) => /^src\/base\/errors\/[a-z]+-errors\.ts$/.test(path))
    .flatMap(({ text }) => text.match(/= line\(/g) ?? []);
  expect(errorCatalogue.size).toBeGreaterThan(50);
  expect(errorCatalogue.size).toBe(lines.length);
  expect(classes.map(({ error }) => error.code).toSorted()).toEqual(
    [...errorCatalogue.keys()].toSorted(),
  );
  for (const { name, error } of classes) expect(error.name).toBe(name);
});

describe.each(classes.map(({ name, error }) => ({ code: error.code, name, error })))(
  "$code",
  ({ code, name, error }) => {
    test("is said completely", () => {
      const { title, help, status, severity, category } = error.definition;
      expect(code).toMatch(/^[a-z]+(?:_[a-z]+)*$/);
      expect(name).toMatch(/^[A-Z]\w+Error$/);
      expect(title).toMatch(/^[A-Z].{8,}[^.]$/);
      expect(help).toMatch(/^[A-Z`].{10,}\.$/);
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(600);
      expect(severities).toContain(severity);
      expect(categories).toContain(category);
    });

    test("is raised by the product", () => {
      const raising = new RegExp(`\\b${name}\\b|["']${code}["']`);
      const places = source.filter(
        ({ path, text }) => !path.startsWith("src/base/errors/") && raising.test(text),
      );
      expect(places.length + (code === "defect" ? 1 : 0)).toBeGreaterThan(0);
    });

    test("is raised in a test", () => {
      expect(new RegExp(`\\b${name}\\b|["'\`]${code}["'\`]`).test(tests)).toBe(true);
    });
  },
);

test.each(Object.keys(noticeCatalogue))(
  "the notice %s is given by the product and seen in a test",
  (code) => {
    const given = new RegExp(`["']${code}["']`);
    expect(
      source.some(({ path, text }) => path !== "src/base/errors/notices.ts" && given.test(text)),
    ).toBe(true);
    expect(given.test(tests)).toBe(true);
  },
);
