import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** A defence that can be switched off in a copy of the tree: the harness named by `test` must go red with it. */
const plantedBugSchema = z.strictObject({
  /** What is wrong with the planted change in place, in one sentence. */
  what: z.string().min(10),
  /** The file that is changed, relative to the repository. */
  file: z.string().min(1),
  /** The text that is replaced; it must stand in the file exactly once. */
  find: z.string().min(1),
  replace: z.string(),
  /** The test file that must go red, relative to the repository. */
  test: z.string().regex(/\.test\.ts$/),
  /** Only the tests whose name matches, as `vitest -t`; several tests of a long file need not run. */
  only: z.string().min(1).optional(),
  /** Environment variables for the test, such as a smaller number of rounds. */
  environment: z.record(z.string(), z.string()).optional(),
});

export type PlantedBug = z.output<typeof plantedBugSchema> & { readonly name: string };

/** Every planted bug of this folder by the name of its file. Raises on a file that is not one. */
export function readPlantedBugs(): PlantedBug[] {
  return readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith(".json"))
    .toSorted()
    .map((file) => {
      const content: unknown = JSON.parse(readFileSync(join(import.meta.dirname, file), "utf8"));
      const parsed = plantedBugSchema.safeParse(content);
      if (!parsed.success)
        throw new Error(`${file} is no planted bug: ${z.prettifyError(parsed.error)}`);
      return { name: file.replace(/\.json$/, ""), ...parsed.data };
    });
}

/** The text of `bug.file` with the bug in it. Raises unless the text that is replaced stands in it exactly once. */
export function plant(bug: PlantedBug, text: string): string {
  const [before = "", after, ...more] = text.split(bug.find);
  if (after === undefined || more.length > 0)
    throw new Error(
      `${bug.name}: the text to replace stands ${after === undefined ? 0 : more.length + 1} times in ${bug.file}, wanted is once.`,
    );
  return `${before}${bug.replace}${after}`;
}
