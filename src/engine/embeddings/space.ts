import { createHash } from "node:crypto";
import type { OpenTables } from "#base/database/index.ts";

/** An embedding space: everything that changes a vector. Vectors compare only inside one space. */
export type Space = {
  readonly id: string;
  readonly name: string;
  readonly model: { readonly id: null; readonly name: string; readonly revision: string };
  readonly runtime: "static";
  readonly pooling: "mean";
  readonly normalized: boolean;
  readonly dims: number;
  /** Most tokens the model reads of one text; null without a limit. */
  readonly maxTokens: number | null;
  readonly prefixes: { readonly query: string; readonly passage: string };
  /** Weight of the semantic leg in hybrid search; null until a quality run measured it. */
  readonly fusionWeight: number | null;
  readonly fusionWeightMeasured: { readonly at: string; readonly dataHash: string } | null;
  readonly default: boolean;
};

/** The facts of a model that name its space. */
export type SpaceFacts = {
  readonly name: string;
  readonly revision: string;
  readonly dims: number;
  readonly maxTokens: number | null;
  readonly prefixes: { readonly query: string; readonly passage: string };
};

export type SpaceRow = OpenTables["spaces"];

/** sha256 over all facts that change vectors: two models with equal facts share a space, any difference makes another. */
export function spaceIdentity(facts: SpaceFacts): string {
  return createHash("sha256")
    .update(
      JSON.stringify({
        revision: facts.revision,
        runtime: "static",
        pooling: "mean",
        normalized: true,
        dims: facts.dims,
        maxTokens: facts.maxTokens,
        prefixes: [facts.prefixes.query, facts.prefixes.passage],
      }),
    )
    .digest("hex");
}

export function toSpace(row: SpaceRow, isDefault: boolean): Space {
  return {
    id: row.id,
    name: row.name,
    model: { id: null, name: row.model_name, revision: row.model_revision },
    runtime: "static",
    pooling: "mean",
    normalized: row.normalized === 1,
    dims: row.dims,
    maxTokens: row.max_tokens,
    prefixes: JSON.parse(row.prefixes) as Space["prefixes"],
    fusionWeight: row.fusion_weight,
    fusionWeightMeasured:
      row.fusion_measured_at === null
        ? null
        : {
            at: new Date(row.fusion_measured_at).toISOString(),
            dataHash: row.fusion_data_hash ?? "",
          },
    default: isDefault,
  };
}
