import { DefectError } from "#base/errors/index.ts";
import type { Call } from "./define-operation.ts";
import { namedSchema } from "./shapes.ts";

/** The input field that names a collection. */
export const collectionField = namedSchema.describe("Id or name of the collection");

/** The collection and the caller of an operation that demands a right on one. */
export function allowed<Input>({ collection, principal }: Call<Input>) {
  if (!collection || !principal)
    throw new DefectError("an operation on a collection ran without its grant being checked");
  return { collection, principal };
}
