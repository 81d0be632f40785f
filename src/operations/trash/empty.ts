import { z } from "zod";
import { AuthenticationRequiredError, InputInvalidError } from "#base/errors/index.ts";
import { defineOperation } from "../define-operation.ts";
import { countsSchema } from "../shapes.ts";
import { trashField } from "./trash-schema.ts";

export const trashEmpty = defineOperation({
  name: "trash.empty",
  summary: "Remove one trash entry, older ones or all of yours for good",
  input: z.strictObject({
    trash: trashField.optional().describe("Only this entry"),
    before: z.iso
      .datetime({ offset: true })
      .optional()
      .describe("Only what was deleted before this time"),
    all: z.boolean().default(false).describe("All that you could restore"),
    dryRun: z.boolean().default(false).describe("Only count what would go"),
  }),
  output: z.object({
    emptied: countsSchema.extend({ entries: z.int() }),
    dryRun: z.boolean(),
    undo: z.null(),
  }),
  effect: "destroy",
  permission: { role: "api_user" },
  http: { method: "POST", path: "/trash/empty" },
  cli: { command: "trash empty" },
  run: async ({ app, principal, scope, input, target }) => {
    if (!principal) throw new AuthenticationRequiredError("Only somebody empties the trash.");
    if (input.trash !== undefined) target("trash", input.trash);
    return app.search.trash.empty(principal, scope, wantedOf(input), input.dryRun);
  },
});

/** What to remove has to be said, and only one way: nothing goes for good by an empty request. */
function wantedOf({
  trash,
  before,
  all,
}: {
  trash?: string | undefined;
  before?: string | undefined;
  all: boolean;
}) {
  const given = [trash !== undefined, before !== undefined, all].filter(Boolean).length;
  if (given !== 1)
    throw new InputInvalidError(
      given === 0
        ? "Say what to remove for good: one entry (trash), older ones (before) or all."
        : "Give one of trash, before and all.",
      {
        errors: ["trash", "before", "all"].map((field) => ({
          pointer: `/${field}`,
          message: "give exactly one of trash, before and all",
        })),
      },
    );
  if (trash !== undefined) return { trash };
  return before === undefined ? "all" : { before: Date.parse(before) };
}
