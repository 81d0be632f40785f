import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { plant, readPlantedBugs } from "./planted/planted-bugs.ts";

const repository = join(import.meta.dirname, "../..");
const bugs = readPlantedBugs();

test.each(bugs.map((bug) => [bug.name, bug] as const))(
  "the planted bug %s still fits its file and names a test",
  (_name, bug) => {
    const text = readFileSync(join(repository, bug.file), "utf8");
    expect(plant(bug, text)).not.toBe(text);
    expect(existsSync(join(repository, bug.test)), bug.test).toBe(true);
  },
);

test("a text that stands in the file twice, or not at all, is refused", () => {
  const [bug] = bugs;
  if (!bug) throw new Error("there are no planted bugs");
  expect(() => plant(bug, "")).toThrow(/stands 0 times/);
  expect(() => plant(bug, `${bug.find} and ${bug.find}`)).toThrow(/stands 2 times/);
});
