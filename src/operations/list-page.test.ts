import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { localPrincipal } from "#base/access/index.ts";
import { FileUnreadableError } from "#base/errors/index.ts";
import { type OpenApp, openAppOver } from "../../test/fixtures/rooms/open-app-over.ts";
import { operations } from "./index.ts";
import { runOperation } from "./run-operation.ts";

let app: OpenApp;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "candor-test-"));
  app = await openAppOver(folder);
});
afterAll(async () => {
  await app.close();
  rmSync(folder, { recursive: true });
});

type Page = {
  items: { id: string; latest: string }[];
  nextCursor: string | null;
  total: number | null;
};

async function page(name: string, input: object): Promise<Page> {
  const operation = operations.find((one) => one.name === name);
  if (!operation) throw new Error(`${name} is not in the table`);
  return (await runOperation(app, operation, input, { principal: localPrincipal })).output as Page;
}

async function walk(name: string, input: object): Promise<Page["items"][]> {
  const pages: Page["items"][] = [];
  let cursor: string | null = null;
  do {
    const { items, nextCursor, total }: Page = await page(name, {
      ...input,
      ...(cursor === null ? {} : { cursor }),
    });
    expect(total).toBeNull();
    pages.push(items);
    cursor = nextCursor;
  } while (cursor !== null);
  return pages;
}

it("walks a list in pages without losing or repeating anything, and ends without an empty page", async () => {
  for (let number = 0; number < 12; number += 1)
    await app.access.keys.create(localPrincipal, { name: `k${number}` });
  for (const [limit, sizes] of [
    [5, [5, 5, 2]],
    [6, [6, 6]],
    [12, [12]],
    [100, [12]],
  ] as const) {
    const pages = await walk("keys.list", { limit });
    expect(pages.map(({ length }) => length)).toEqual(sizes);
    expect(new Set(pages.flat().map(({ id }) => id)).size).toBe(12);
  }
});

it("pages the groups of the ledger too, most recent first", async () => {
  const makers = [
    (n: number) => new FileUnreadableError(`a${n}`),
    () => new RangeError("b"),
    () => new TypeError("c"),
  ];
  for (const [place, make] of makers.entries())
    for (let number = 0; number <= place; number += 1) await app.ledger.record(make(number));
  const latest = (await walk("ledger.groups", { limit: 1 })).flat().map((group) => group.latest);
  expect(latest.length).toBeGreaterThanOrEqual(2);
  expect(latest).toEqual(latest.toSorted((one, other) => other.localeCompare(one)));
});

it("refuses a cursor of another list or another filter", async () => {
  const { nextCursor } = await page("keys.list", { limit: 5 });
  for (const [name, input] of [
    ["keys.list", { limit: 6 }],
    ["jobs.list", { limit: 5 }],
    ["ledger.list", { limit: 5, severity: "low" }],
  ] as const)
    await expect(page(name, { ...input, cursor: nextCursor })).rejects.toMatchObject({
      code: "cursor_stale",
    });
  for (const limit of [0, 101, 1.5])
    await expect(page("keys.list", { limit })).rejects.toMatchObject({ code: "input_invalid" });
});
