import { namedSchema } from "../shapes.ts";

/** What can lie in the trash. */
export const trashKinds = ["document", "collection"] as const;

export const trashField = namedSchema.describe("Id of the trash entry");
