import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { operations } from "#operations/index.ts";
import { openRealDoor, type RealDoor } from "./open-real-door.ts";

type Parameter = {
  name: string;
  in: string;
  required?: boolean;
  schema?: object;
  content?: object;
};
type Described = {
  operationId: string;
  summary: string;
  description: string;
  tags: string[];
  security?: unknown[];
  parameters: Parameter[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<string, { description?: string; content?: Record<string, { schema: object }> }>;
};
type Document = {
  openapi: string;
  info: { title: string; version: string };
  tags: { name: string }[];
  paths: Record<string, Record<string, Described>>;
  components: { schemas: Record<string, object>; securitySchemes: object };
};

let door: RealDoor;
let api: Document;
beforeAll(async () => {
  door = await openRealDoor();
  const answer = await door.server.inject({
    url: "/api/v1/openapi.json",
    headers: await door.as("read_only"),
  });
  expect(answer.statusCode).toBe(200);
  api = answer.json() as Document;
});
afterAll(() => door.close());

const described = () =>
  Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

test("exactly the operations with a place on HTTP are described, each once", () => {
  const there = described().map(
    ({ path, method, operation }) => `${operation.operationId} ${method} ${path}`,
  );
  const wanted = operations.flatMap(({ name, http }) => {
    if (!http) return [];
    const path = `${http.root ? "" : "/api/v1"}${http.path.replaceAll(/:(\w+)/g, "{$1}")}`;
    return [`${name} ${http.method.toLowerCase()} ${path}`];
  });
  expect(there.toSorted()).toEqual(wanted.toSorted());
  expect(new Set(described().map(({ operation }) => operation.operationId)).size).toBe(
    there.length,
  );
});

test("the document has what OpenAPI 3.1 demands", () => {
  expect(api.openapi).toMatch(/^3\.1\.\d+$/);
  expect(api.info).toMatchObject({ title: "Candor", version: expect.any(String) });
  const tags = new Set(api.tags.map(({ name }) => name));
  for (const { operation } of described()) {
    expect(operation.summary).not.toBe("");
    for (const tag of operation.tags) expect(tags).toContain(tag);
    for (const [status, response] of Object.entries(operation.responses))
      if (!("$ref" in response)) {
        expect(status).toMatch(/^[1-5]\d\d$/);
        expect(response.description).toBeTruthy();
      }
  }
  for (const name of Object.keys(api.components.schemas)) expect(name).toMatch(/^[A-Za-z0-9._-]+$/);
});

test("every parameter of a path is described, and nothing else claims to be one", () => {
  for (const { path, operation } of described()) {
    const inPath = operation.parameters.filter((parameter) => parameter.in === "path");
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    expect(new Set(inPath.map(({ name }) => name))).toEqual(new Set(names));
    expect(inPath).toHaveLength(names.length);
    for (const parameter of inPath) expect(parameter.required).toBe(true);
    const all = operation.parameters.map((parameter) => `${parameter.in} ${parameter.name}`);
    expect(new Set(all).size).toBe(all.length);
    for (const { schema, content } of operation.parameters)
      expect([schema, content].filter((shape) => shape !== undefined)).toHaveLength(1);
  }
});

test("every reference leads somewhere", () => {
  const references = [...JSON.stringify(api).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => to);
  expect(references.length).toBeGreaterThan(10);
  for (const reference of references) {
    expect(reference).toMatch(/^#\//);
    let at: unknown = api;
    for (const part of (reference ?? "").slice(2).split("/"))
      at = (at as Record<string, unknown>)[part];
    expect(at, reference).toBeTypeOf("object");
  }
});

test("every schema is a JSON Schema of 2020-12", () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(api, "openapi");
  const schemas = [
    ...Object.values(api.components.schemas),
    ...described().flatMap(({ operation }) => [
      ...operation.parameters.flatMap(({ schema }) => (schema ? [schema] : [])),
      ...Object.values(operation.requestBody?.content ?? {}).map(({ schema }) => schema),
      ...Object.values(operation.responses).flatMap(({ content }) =>
        Object.values(content ?? {}).map(({ schema }) => schema),
      ),
    ]),
  ];
  expect(schemas.length).toBeGreaterThan(operations.length);
  for (const schema of schemas) {
    expect(ajv.validateSchema(schema), JSON.stringify(ajv.errors)).toBe(true);
    // Compiled where it stands, so that its references are followed.
    const absolute = JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"openapi#/');
    ajv.compile(JSON.parse(absolute) as object);
  }
});

test("answers are what the document says", async () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(api, "openapi");
  const headers = await door.as("superadmin");
  const plain = described().filter(
    ({ method, path, operation }) =>
      method === "get" && !path.includes("{") && operation.parameters.every((one) => !one.required),
  );
  expect(plain.length).toBeGreaterThan(5);
  for (const { path, operation } of plain) {
    const answer = await door.server.inject({ url: path, headers });
    expect(answer.statusCode, path).toBe(200);
    const schema = operation.responses["200"]?.content?.["application/json"]?.schema;
    const absolute = JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"openapi#/');
    const check = ajv.compile(JSON.parse(absolute) as object);
    expect(check(answer.json()), `${path} ${JSON.stringify(check.errors)}`).toBe(true);
  }
  const problem = ajv.compile({ $ref: "openapi#/components/schemas/Problem" });
  const missing = await door.server.inject({ url: "/api/v1/collections/none", headers });
  expect(problem(missing.json()), JSON.stringify(problem.errors)).toBe(true);
});

test("only what anybody may call says so", () => {
  for (const { operation } of described()) {
    const open =
      operations.find(({ name }) => name === operation.operationId)?.permission === "public";
    expect(operation.security, operation.operationId).toEqual(open ? [] : undefined);
  }
});
