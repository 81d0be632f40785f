import { readFileSync, globSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { buildCommands, commandsByHand, renderCliReference } from "#doors/cli/index.ts";
import { defineOperation } from "#operations/define-operation.ts";
import { type Operation, operations } from "#operations/index.ts";
import { openTestDoor } from "./http/open-test-door.ts";

/** What users, scripts and agents name: published names stay until a new version of the API. */
type Documented = {
  readonly operations: Readonly<
    Record<string, { http: string; commands: string[]; tools: string[] }>
  >;
  readonly otherCommands: readonly string[];
};

const fixture = join(import.meta.dirname, "fixtures", "operations.json");
const documented = JSON.parse(readFileSync(fixture, "utf8")) as Documented;

/** What the table and the doors offer, in the fixture's form. */
function offered(table: readonly Operation[]): Documented {
  const commands = buildCommands(table).map((command) => ({
    operation: command.operation?.name,
    words: command.words.join(" "),
  }));
  return {
    operations: Object.fromEntries(
      table.map(({ name, http, tools }) => [
        name,
        {
          http: http ? `${http.method} ${http.root ? "" : "/api/v1"}${http.path}` : "-",
          commands: commands.filter((one) => one.operation === name).map(({ words }) => words),
          tools: (tools ?? []).map((tool) => tool.name),
        },
      ]),
    ),
    otherCommands: commands.flatMap(({ operation, words }) => (operation ? [] : [words])),
  };
}

const schemaOf = (operation: Operation) =>
  z.toJSONSchema(operation.input, { io: "input", unrepresentable: "any" });

test("names, addresses, commands and tools are those that were documented", () => {
  expect(offered(operations)).toEqual(documented);
});

test("every operation that is defined stands in the table", async () => {
  const folder = join(import.meta.dirname, "..", "src", "operations");
  const defined: string[] = [];
  for (const path of globSync("*/*.ts", { cwd: folder, exclude: ["**/*.test.ts"] })) {
    const module: object = await import(pathToFileURL(join(folder, path)).href);
    for (const value of Object.values(module))
      if (typeof value === "object" && value !== null && "run" in value && "permission" in value)
        defined.push((value as Operation).name);
  }
  expect(operations.map(({ name }) => name).toSorted()).toEqual(defined.toSorted());
});

test("names are noun.verb, and no name, address or tool stands twice", () => {
  for (const { name } of operations) expect(name).toMatch(/^[a-z][a-zA-Z]*\.[a-z][a-zA-Z]*$/);
  const names = operations.map(({ name }) => name);
  // Two addresses that differ only in what a part is called are one address.
  const places = operations.flatMap(({ http }) =>
    http ? [`${http.method} ${http.root ? "/" : ""}${http.path.replaceAll(/:\w+/g, ":")}`] : [],
  );
  const tools = operations.flatMap((operation) => (operation.tools ?? []).map(({ name }) => name));
  for (const all of [names, places, tools])
    expect(all.toSorted()).toEqual([...new Set(all)].toSorted());
  for (const tool of tools) expect(tool).toMatch(/^[a-z][a-z_]*[a-z]$/);
});

describe.each(operations.map((operation) => ({ name: operation.name, operation })))(
  "$name",
  ({ operation }) => {
    test("takes an object of known fields, as JSON Schema can say", () => {
      expect(schemaOf(operation)).toMatchObject({ type: "object", additionalProperties: false });
    });

    test("answers in a shape that JSON Schema can say", () => {
      expect(z.toJSONSchema(operation.output, { io: "output" })).toBeTypeOf("object");
    });

    test("names only fields that its input has", () => {
      const fields = Object.keys(schemaOf(operation).properties ?? {});
      const inPath = [...(operation.http?.path ?? "").matchAll(/:(\w+)/g)];
      const inCommand = [...(operation.cli?.command ?? "").matchAll(/[<[](\w+)/g)];
      for (const [, field] of [...inPath, ...inCommand]) expect(fields).toContain(field);
      for (const { fixed, defaults, rename, pick } of operation.tools ?? [])
        for (const field of [fixed, defaults, rename]
          .flatMap((part) => Object.keys(part ?? {}))
          .concat(pick ?? []))
          expect(fields).toContain(field);
    });

    test("says what it does in a few words", () => {
      expect(operation.summary).toMatch(/^[A-Z].{5,}[^.]$/);
    });
  },
);

test("commands that no operation stands behind are the listed ones", () => {
  const { process, composed } = commandsByHand;
  const listed: readonly string[] = [...process, ...composed];
  for (const words of documented.otherCommands) expect(listed).toContain(words);
});

test("an operation that is only defined appears at HTTP, in OpenAPI and on the command line", async () => {
  const notesPin = defineOperation({
    name: "notes.pin",
    summary: "Pin a note to a page",
    input: z.strictObject({ note: z.string().min(1), page: z.int().min(1).default(1) }),
    output: z.object({ pinned: z.string(), page: z.int() }),
    effect: "write",
    permission: { role: "api_user" },
    http: { method: "POST", path: "/notes/:note/pin" },
    cli: { command: "notes pin <note>" },
    run: async ({ input }) => ({ pinned: input.note, page: input.page }),
  }) as unknown as Operation;
  const table = [...operations, notesPin];

  const door = await openTestDoor(table);
  try {
    const headers = await door.as("api_user");
    const ask = (payload: object, more: object = headers) =>
      door.server.inject({
        method: "POST",
        url: "/api/v1/notes/first/pin",
        payload,
        headers: { ...more },
      });
    const answer = await ask({ page: 3 });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({
      pinned: "first",
      page: 3,
      requestId: expect.any(String),
    });
    const refused = await ask({ page: 0 });
    expect(refused.statusCode).toBe(422);
    expect(refused.json().errors).toMatchObject([{ pointer: "/page" }]);
    expect((await ask({}, { host: headers["host"] })).statusCode).toBe(401);
    expect((await ask({}, await door.as("read_only"))).statusCode).toBe(403);

    const api = (await door.server.inject({ url: "/api/v1/openapi.json", headers })).json();
    expect(api.paths["/api/v1/notes/{note}/pin"].post).toMatchObject({
      operationId: "notes.pin",
      summary: "Pin a note to a page",
      parameters: expect.arrayContaining([expect.objectContaining({ name: "note", in: "path" })]),
    });
  } finally {
    await door.close();
  }

  const command = buildCommands(table).find(({ words }) => words.join(" ") === "notes pin");
  expect(command).toMatchObject({ kind: "operation", summary: "Pin a note to a page" });
  expect(command?.parameters.map(({ name, place }) => `${place} ${name}`)).toEqual([
    "argument note",
    "option page",
  ]);
  expect(renderCliReference(table)).toContain("## candor notes pin");
});
