import { z } from "zod";
import type { Target } from "#base/access/index.ts";
import { InputInvalidError } from "#base/errors/index.ts";
import type { App } from "../define-operation.ts";
import { defineOperation } from "../define-operation.ts";

const rules = ["public", "stands", "role", "own", "grant"] as const;

export const accessExplain = defineOperation({
  name: "access.explain",
  summary: "The rule that allows somebody an operation, or refuses it",
  input: z.strictObject({
    principal: z.string().min(1).max(100).describe("Name or id of a user, id of a key, or local"),
    operation: z.string().min(1).max(100).describe("Name of an operation, such as search.query"),
    target: z.string().min(1).max(512).optional().describe("A collection, or the id of a job"),
  }),
  output: z.object({
    principal: z.string(),
    operation: z.string(),
    target: z.string().nullable(),
    allowed: z.boolean(),
    rule: z.enum(rules),
    checks: z.array(
      z.object({
        rule: z.enum(rules),
        state: z.enum(["passed", "failed", "not_asked"]),
        detail: z.string(),
      }),
    ),
  }),
  effect: "read",
  permission: { role: "admin" },
  http: { method: "POST", path: "/access/explain" },
  cli: { command: "access explain <principal> <operation> [target]" },
  run: async ({ app, input }) => {
    const { principal, operation: name, target } = input;
    const operation = app.catalogue.find((known) => known.name === name);
    if (!operation)
      throw new InputInvalidError(`There is no operation "${name}".`, {
        errors: [
          {
            pointer: "/operation",
            message: "is no operation",
            valid: app.catalogue.map((known) => known.name),
          },
        ],
      });
    const explained = await app.access.explain(principal, {
      permission: operation.permission,
      target: target === undefined ? null : await findTarget(app, target),
    });
    return { principal, operation: name, target: target ?? null, ...explained };
  },
});

async function findTarget(app: App, named: string): Promise<Target> {
  if (!named.startsWith("job_")) {
    const { id, name } = await app.search.findCollection(named);
    return { type: "collection", id, name };
  }
  const { id, owner } = await app.jobs.get(named, { owner: "anybody" });
  return { type: "owned", id, owner };
}
