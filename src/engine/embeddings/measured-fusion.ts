import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { ModelInvalidError } from "#base/errors/index.ts";

/** What a quality run over a labelled set found for a space, as the model's folder keeps it. */
export type MeasuredFusion = {
  /** Weight of the semantic leg in hybrid search, 0…1. */
  readonly fusionWeight: number;
  /** UTC milliseconds. */
  readonly at: number;
  /** sha256 of the labelled set. */
  readonly dataHash: string;
};

const fileSchema = z.object({
  fusionWeight: z.number().min(0).max(1),
  measuredAt: z.iso.datetime(),
  dataHash: z.string().regex(/^sha256:[0-9a-f]{64}$/),
});

/** Reads `quality.json` of a model's folder; null where nothing was measured. Raises ModelInvalidError for a file that says something else. */
export async function readMeasuredFusion(folder: string): Promise<MeasuredFusion | null> {
  const path = join(folder, "quality.json");
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return null;
    throw new ModelInvalidError(`${path} cannot be read.`, { cause: thrown });
  }
  try {
    const { fusionWeight, measuredAt, dataHash } = fileSchema.parse(JSON.parse(text));
    return { fusionWeight, at: Date.parse(measuredAt), dataHash };
  } catch (thrown) {
    throw new ModelInvalidError(
      `${path} is not the record of a quality run: fusionWeight 0…1, measuredAt, dataHash.`,
      { cause: thrown },
    );
  }
}
