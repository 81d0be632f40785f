import { z } from "zod";
import { AuthenticationRequiredError } from "#base/errors/index.ts";
import { activityKinds } from "#workbench/overview/index.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, readPage } from "../list-page.ts";

const link = z.string().nullable();

export const activityList = defineOperation({
  name: "activity.list",
  summary: "List jobs, actions and errors as one list, newest first: your own, or all for admins",
  input: z.strictObject({
    kind: z.enum(activityKinds).optional().describe("Only this kind"),
    ...pageInput,
  }),
  output: pageOutput(
    z.object({
      id: z.string(),
      kind: z.enum(activityKinds),
      at: z.string(),
      title: z.string(),
      actor: z.string().nullable(),
      target: z.object({ type: z.string(), id: z.string() }).nullable(),
      outcome: z.string(),
      links: z.object({ job: link, audit: link, ledger: link, request: link }),
    }),
  ),
  effect: "read",
  permission: { role: "read_only", own: { all: "admin" } },
  http: { method: "GET", path: "/activity" },
  cli: null,
  run: async (call) => {
    const { app, input, own, principal } = call;
    if (!principal) throw new AuthenticationRequiredError("Activity is listed for somebody.");
    const whose =
      own.owner === "anybody" ? "anybody" : { principal: principal.id, owner: own.owner };
    return readPage(
      "activity.list",
      call,
      ({ at, id }) => `${Date.parse(at)} ${id}`,
      (position, limit) =>
        app.overview.activity(whose, { kind: input.kind, after: readPosition(position), limit }),
    );
  },
});

function readPosition(position: string | undefined): { at: number; id: string } | null {
  if (position === undefined) return null;
  const [at = "", id = ""] = position.split(" ");
  return { at: Number(at), id };
}
