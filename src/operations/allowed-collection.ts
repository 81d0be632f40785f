import type { Principal } from "#base/access/index.ts";
import type { CollectionRow, GrantLevel } from "#base/database/index.ts";
import { DefectError } from "#base/errors/index.ts";
import type { App, Call } from "./define-operation.ts";
import { namedSchema } from "./shapes.ts";

/** The input field that names a collection. */
export const collectionField = namedSchema.describe("Id or name of the collection");

/** The collection and the caller of an operation that demands a right on one. */
export function allowed<Input>({ collection, principal }: Call<Input>) {
  if (!collection || !principal)
    throw new DefectError("an operation on a collection ran without its grant being checked");
  return { collection, principal };
}

/**
 * The collection of this id or name, on which `principal` has `right`; `onFound` hears its id as soon as that is known. Raises
 * NotFoundError without any right, PermissionDeniedError with too small a one.
 */
export async function demandCollection(
  app: App,
  principal: Principal,
  named: string,
  right: GrantLevel,
  onFound: (id: string) => void = () => {},
): Promise<CollectionRow> {
  let collection: CollectionRow;
  try {
    collection = await app.search.findCollection(named);
  } catch (thrown) {
    // As much is looked up as for one that is there: the time of the answer tells nothing either.
    await app.access.rightOn(principal, named);
    throw thrown;
  }
  onFound(collection.id);
  await app.access.demand(principal, { id: collection.id, called: named }, right);
  return collection;
}
