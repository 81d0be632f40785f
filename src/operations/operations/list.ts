import { z } from "zod";
import { roleIncludes, roles } from "#base/access/index.ts";
import { defineOperation, type Operation } from "../define-operation.ts";
import { pageOutput } from "../list-page.ts";

const jsonSchema = z.record(z.string(), z.unknown());

export const operationsList = defineOperation({
  name: "operations.list",
  summary: "List the operations you may run, with their schemas and doors",
  input: z.strictObject({}),
  output: pageOutput(
    z.object({
      name: z.string(),
      summary: z.string(),
      effect: z.enum(["read", "write", "destroy"]),
      permission: z.object({
        role: z.enum(roles).nullable(),
        own: z.boolean(),
        grant: z.object({ on: z.string(), right: z.string() }).nullable(),
      }),
      input: jsonSchema,
      output: jsonSchema,
      http: z.object({ method: z.string(), path: z.string() }).nullable(),
      cli: z.string().nullable(),
      tools: z.array(z.string()),
    }),
  ),
  effect: "read",
  permission: { role: "read_only" },
  http: { method: "GET", path: "/operations" },
  cli: { command: "operations" },
  run: async ({ app, principal }) => {
    const items = app.catalogue
      .filter(
        ({ permission }) =>
          permission === "public" ||
          (principal !== null && roleIncludes(principal.role, permission.role)),
      )
      .map(describe);
    return { items, nextCursor: null, total: items.length };
  },
});

function describe(operation: Operation) {
  const { name, summary, effect, permission, http, cli, tools } = operation;
  const open = permission === "public";
  return {
    name,
    summary,
    effect,
    permission: {
      role: open ? null : permission.role,
      own: !open && permission.own !== undefined,
      grant: open ? null : (permission.grant ?? null),
    },
    input: z.toJSONSchema(operation.input, { io: "input", unrepresentable: "any" }),
    output: z.toJSONSchema(operation.output, { io: "output", unrepresentable: "any" }),
    http: http && { method: http.method, path: http.root ? http.path : `/api/v1${http.path}` },
    cli: cli && cli.command,
    tools: (tools ?? []).map((tool) => tool.name),
  };
}
