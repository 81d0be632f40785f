import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { roles } from "#base/access/index.ts";
import { categories, errorCatalogue, noticeCatalogue, severities } from "#base/errors/index.ts";
import { buildCommands } from "#doors/cli/index.ts";
import { type Operation, operations } from "#operations/index.ts";
import { renderDocuments } from "../scripts/generate-docs.ts";
import { faultCatalogue } from "../src/base/config/faults.ts";
import { environmentNames, settingsByKey } from "../src/base/config/settings.ts";
import { parseCommandLine } from "../src/doors/cli/program.ts";
import type { Output } from "../src/doors/cli/terminal.ts";
import type { Door } from "../src/doors/http/door.ts";
import { doorRoutes } from "../src/doors/http/door-routes.ts";
import { operationRoutes } from "../src/doors/http/routes.ts";

const repository = join(import.meta.dirname, "..");
const pages = globSync(["*.md", "docs/**/*.md"], { cwd: repository })
  .map((path) => path.replaceAll("\\", "/"))
  .toSorted();
const read = (path: string) => readFileSync(join(repository, path), "utf8");

/** A page whose rows name what was asked for, built or not. */
const wishes = "docs/requirements.md";

describe("generated pages", () => {
  test.each([...renderDocuments()])("%s is what `npm run docs` writes", (path, text) => {
    expect(read(path)).toBe(text);
  });

  test("name every code of errors and notices, every setting, operation and command", () => {
    const names = (page: string, wanted: Iterable<string>) => {
      const text = read(page);
      return [...wanted].filter((name) => !text.includes(name));
    };
    const quoted = (each: string) => `\`${each}\``;
    expect(names("docs/errors.md", [...errorCatalogue.keys()].map(quoted))).toEqual([]);
    expect(names("docs/errors.md", Object.keys(noticeCatalogue).map(quoted))).toEqual([]);
    expect(names("docs/configuration.md", [...settingsByKey.keys()].map(quoted))).toEqual([]);
    const offered = operations.filter(({ http }) => http !== null);
    expect(
      names(
        "docs/http.md",
        offered.map(({ name }) => `### ${name}\n`),
      ),
    ).toEqual([]);
    const shown = buildCommands(operations).filter(({ hidden }) => hidden !== true);
    expect(
      names(
        "docs/cli.md",
        shown.map(({ words }) => `## candor ${words.join(" ")}\n`),
      ),
    ).toEqual([]);
  });
});

describe("every page", () => {
  test("there are the pages that readers are sent to", () => {
    for (const page of ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md"])
      expect(pages).toContain(page);
    expect(read("LICENSE")).toContain("MIT License");
  });

  test.each(pages)("%s has only links that lead somewhere", (page) => {
    expect(brokenLinks(page, read(page))).toEqual([]);
  });

  test.each(pages)("%s names only what exists", (page) => {
    expect(falseNames(page, read(page))).toEqual([]);
  });

  test.each(pages)("%s shows only commands that exist", (page) => {
    expect(falseCommands(read(page))).toEqual([]);
  });
});

test("the README has the two commands of a first start and is short", () => {
  const text = read("README.md");
  expect(text).toContain("npm install && npm start");
  expect(text).toContain("npm install && npm test");
  expect(text.split("\n").length).toBeLessThan(140);
});

test("the requirements are counted, each with one state and its reason", () => {
  const text = read(wishes);
  const rows = [
    ...text.matchAll(/^\| ([A-Z]+-\d+) +\| (.+?) +\| (met|partly|not yet) +\| (.*?) *\|$/gm),
  ];
  const ids = rows.map(([, id]) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids).toHaveLength([...text.matchAll(/^\| [A-Z]+-\d+/gm)].length);
  const count = (state: string) => rows.filter(([, , , found]) => found === state).length;
  expect(text).toContain(
    `There are ${ids.length}: ${count("met")} met, ${count("partly")} partly met, ${count("not yet")} not yet begun.`,
  );
  const bare = rows.filter(([, , , state, why]) => state !== "not yet" && why === "");
  expect(bare.map(([, id]) => id)).toEqual([]);
});

describe("the checks see", () => {
  test.each([
    ["a missing file", "[x](no-such-page.md)"],
    ["a missing heading", "[x](README.md#no-such-heading)"],
  ])("%s", (_what, text) => {
    expect(brokenLinks("README.md", text)).toHaveLength(1);
  });

  test.each([
    ["a file that is gone", "`src/base/cache/`"],
    ["an operation", "`search.suggest`"],
    ["a setting", "`server.tls`"],
    ["an error code", "`model_not_found`"],
    ["a variable", "Set CANDOR_TLS to on."],
    ["a path of the API", "`GET /api/v1/models`"],
    ["a method", "`PUT /api/v1/collections`"],
    ["an address", "curl http://127.0.0.1:7340/api/v1/models"],
  ])("%s that does not exist", (_what, text) => {
    expect(falseNames("README.md", text)).toHaveLength(1);
  });

  test.each([
    ["a command", "```sh\ncandor chat\n```"],
    ["an option", "```sh\ncandor search backup --top 3\n```"],
    ["a command in a sentence", "Run `candor compact` first."],
    ["a script", "```sh\nnpm run deploy\n```"],
  ])("%s that does not exist", (_what, text) => {
    expect(falseCommands(text)).toHaveLength(1);
  });
});

/** Links to files and headings of the repository that are not there. */
function brokenLinks(page: string, text: string): string[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```/gm, "").replaceAll(/`[^`]*`/g, "``");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = ""]) => {
    if (/^https?:/.test(target)) return [];
    const [file = "", heading] = target.split("#");
    const path = file === "" ? page : join(dirname(page), file);
    if (!existsSync(join(repository, path))) return [target];
    return heading === undefined || anchors(read(path)).has(heading) ? [] : [target];
  });
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchors(text: string): Set<string> {
  const headings = [...text.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

const door = { operations, app: { configuration: { config: { server: {} } } }, limits: {} };
const routes = [
  ...operationRoutes(door as unknown as Door),
  ...doorRoutes(door as unknown as Door),
];
const knownWords = new Set<string>([
  ...errorCatalogue.keys(),
  ...Object.keys(noticeCatalogue),
  ...Object.keys(faultCatalogue),
  ...categories,
  ...severities,
  ...roles,
  ...operations.flatMap(wordsOfAnswer),
  "trace_id", // a field of log lines, as OpenTelemetry names it
]);
const knownVariables = new Set([
  ...[...settingsByKey.keys()].flatMap(environmentNames),
  "CANDOR_NODE", // read by bin/candor.js
  "CANDOR_KEY", // the reader's own, in examples of requests
]);
const operationNames = new Set(operations.map(({ name }) => name));
const firstWords = (names: Iterable<string>) =>
  new Set([...names].map((name) => name.split(".")[0]));

/** Names of files, operations, settings, codes, variables and paths of the API in `text` that the code does not have. */
function falseNames(page: string, text: string): string[] {
  // The first cell of a row is the field that the row describes.
  const quoted = [...text.replaceAll(/^\| `[^`]+` +\|/gm, "|").matchAll(/`([^`\n]+)`/g)]
    .concat([...text.matchAll(/^\| `([^`.\n]+)` +\|/gm)])
    .map(([, name = ""]) => name);
  const variables = text.match(/\bCANDOR_[A-Z_]*[A-Z]\b/g) ?? [];
  return [
    ...quoted.filter((name) => isFalseName(name)),
    ...variables.filter((name) => !knownVariables.has(name)),
    ...(page === wishes ? [] : falsePaths(text)),
  ];
}

/** The words of several parts among the values that an operation's answer may have. */
function wordsOfAnswer({ output }: Operation): string[] {
  const schema = JSON.stringify(z.toJSONSchema(output, { io: "output", unrepresentable: "any" }));
  return [...schema.matchAll(/"([a-z]+(?:_[a-z]+)+)"/g)].map(([, word = ""]) => word);
}

function isFalseName(name: string): boolean {
  if (/^(?:src|docs|test|bench|bin|assets|scripts)\/[\w./-]*$/.test(name))
    return !existsSync(join(repository, name));
  if (/^[a-z]+(?:_[a-z]+)+$/.test(name)) return !knownWords.has(name);
  const [, first] = /^([a-z]+)\.[a-z]+(?:[A-Z][a-z]+)*$/.exec(name) ?? [];
  if (first === undefined || /\.(?:json|sqlite|md|ts|js|log|pdf)$/.test(name)) return false;
  const isSetting = firstWords(settingsByKey.keys()).has(first);
  const isOperation = firstWords(operationNames).has(first);
  return (isSetting || isOperation) && !settingsByKey.has(name) && !operationNames.has(name);
}

function falsePaths(text: string): string[] {
  const named = [...text.matchAll(/\b(GET|POST|PUT|PATCH|DELETE) (\/[\w/{}.-]*)/g)];
  const addresses = [...text.matchAll(/http:\/\/127\.0\.0\.1:7340(\/[^\s"'`?]+)/g)];
  const hasRoute = (path: string, method?: string) =>
    routes.some(
      (route) =>
        (method === undefined || route.method === method) &&
        new RegExp(`^${route.path.replaceAll(/:\w+/g, "[^/]+")}$`).test(path),
    );
  return [
    ...named.filter(([, method, path = ""]) => !hasRoute(path, method)).map(([all]) => all),
    ...addresses.filter(([, path = ""]) => !hasRoute(path)).map(([all]) => all),
  ];
}

const commands = buildCommands(operations);
const scripts = Object.keys(
  (JSON.parse(read("package.json")) as { scripts: Record<string, string> }).scripts,
);

/** Command lines of shell blocks that would be refused as they stand, and commands in sentences that are none. */
function falseCommands(text: string): string[] {
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block = ""]) => block);
  const lines = blocks
    .flatMap((block) => block.replaceAll("\\\n", " ").split("\n"))
    .flatMap((line) => line.replace(/ #.*$/, "").split(/ && | \| /));
  const sentences = text.replaceAll(/^```[\s\S]*?^```/gm, "");
  const mentions = [...sentences.matchAll(/`((?:candor|npm) [^`]+)`/g)].map(([, all = ""]) => all);
  return [
    ...lines.filter((line) => isFalseLine(line.trim())),
    ...mentions.filter((mention) => isFalseMention(mention)),
  ];
}

function isFalseLine(line: string): boolean {
  const words = splitWords(line.replace(/^(?:[A-Z_]+=\S+ )+/, ""));
  const [program, ...rest] = words;
  if (program === "npm") return isFalseScript(rest);
  if (program !== "candor") return false;
  const { exit, command } = { exit: "ok", ...parseCommandLine(commands, rest, silent, "0") };
  return command === null && exit !== "ok";
}

/** Words of a shell line; quotes keep theirs together. A redirection ends the command. */
function splitWords(line: string): string[] {
  const [command = ""] = line.split(/ >{1,2} /);
  return [...command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? "",
  );
}

function isFalseMention(mention: string): boolean {
  const [program, ...rest] = mention.split(" ");
  if (program === "npm") return isFalseScript(rest);
  const end = rest.findIndex((word) => !/^[a-z][a-z-]*$/.test(word));
  const words = end < 0 ? rest : rest.slice(0, end);
  if (words.length === 0 || words[0] === "help") return false;
  // A noun alone lists, and can be said so.
  if (words.at(-1) === "list") words.pop();
  // What follows a command may be the value of its argument.
  return !commands.some(
    (command) =>
      command.words.every((word, place) => words[place] === word) &&
      (words.length === command.words.length ||
        command.parameters.some(({ place }) => place === "argument")),
  );
}

function isFalseScript([verb = "", name = ""]: readonly string[]): boolean {
  if (verb === "run") return !scripts.includes(name);
  return ["start", "test"].includes(verb) && !scripts.includes(verb);
}

const nowhere: Output = {
  isTerminal: false,
  columns: null,
  stream: process.stderr,
  line: () => {},
  style: (_style, text) => text,
};
const silent = { out: nowhere, err: nowhere };
