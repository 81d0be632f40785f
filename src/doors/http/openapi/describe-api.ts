import { findPackage } from "#base/config/index.ts";
import type { Operation } from "#operations/index.ts";
import {
  envelope,
  fileSchema,
  idempotencyParameter,
  lastEventParameter,
  problemResponse,
  sharedSchemas,
  waitParameter,
} from "./shared-schemas.ts";
import {
  type Components,
  extendSchema,
  placeSchema,
  withoutProperties,
  inputSchema,
  outputSchema,
  type Schema,
} from "./schemas.ts";
import { pathOf } from "../routes.ts";

type HttpOperation = Operation & { readonly http: NonNullable<Operation["http"]> };

/** The OpenAPI 3.1 description of exactly these operations, as far as they have a place on HTTP. */
export function describeApi(operations: readonly Operation[], cookieName: string): object {
  const components: Components = { ...sharedSchemas };
  const paths: Record<string, Record<string, unknown>> = {};
  const offered = operations.filter((operation): operation is HttpOperation => !!operation.http);
  for (const operation of offered) {
    const path = pathOf(operation.http).replaceAll(/:(\w+)/g, "{$1}");
    paths[path] = {
      ...paths[path],
      [operation.http.method.toLowerCase()]: describeOperation(operation, components),
    };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Candor",
      version: findPackage().version,
      description:
        "Honest search over your own files. Long work answers 202 with a job; errors are problems (RFC 9457).",
    },
    servers: [{ url: "/" }],
    security: [{ bearer: [] }, { session: [] }],
    tags: [...new Set(offered.map(tagOf))].map((name) => ({ name })),
    paths,
    components: {
      schemas: components,
      responses: { Problem: problemResponse },
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "An API key" },
        session: {
          type: "apiKey",
          in: "cookie",
          name: cookieName,
          description: "Signed-in page; calls that may change something also need X-Candor-Request",
        },
      },
    },
  };
}

function describeOperation(operation: HttpOperation, components: Components): object {
  const { http, permission } = operation;
  const input = placeSchema(inputSchema(operation), `${operation.name}.input`, components);
  const inPath = new Set([...http.path.matchAll(/:(\w+)/g)].map(([, name]) => name ?? ""));
  const takesBody = http.method === "POST" || http.method === "PATCH";
  return {
    operationId: operation.name,
    summary: operation.summary,
    description: whoMay(operation),
    tags: [tagOf(operation)],
    ...(permission === "public" ? { security: [] } : {}),
    parameters: [
      ...parameters(input, (name) => inPath.has(name), "path"),
      ...(takesBody ? [] : parameters(input, (name) => !inPath.has(name), "query")),
      ...(http.answer === "job" ? [waitParameter] : []),
      ...(http.answer === "stream" ? [lastEventParameter] : []),
      ...(operation.effect === "read" || operation.permission === "public"
        ? []
        : [idempotencyParameter]),
    ],
    ...(takesBody ? { requestBody: requestBody(operation, input, inPath) } : {}),
    responses: {
      ...answers(operation, components),
      default: { $ref: "#/components/responses/Problem" },
    },
  };
}

function parameters(input: Schema, wanted: (name: string) => boolean, place: "path" | "query") {
  return Object.entries(input.properties ?? {})
    .filter(([name]) => wanted(name))
    .map(([name, schema]) => {
      const { description } = typeof schema === "object" ? schema : {};
      return {
        name,
        in: place,
        required: place === "path" || (input.required ?? []).includes(name),
        ...(description === undefined ? {} : { description }),
        ...(isObject(schema) ? { content: { "application/json": { schema } } } : { schema }),
      };
    });
}

/** Objects travel in a query string as JSON text; everything else as it is, arrays as repeated names. */
function isObject(schema: unknown): boolean {
  return (
    typeof schema === "object" &&
    schema !== null &&
    (("type" in schema && schema.type === "object") || "$ref" in schema)
  );
}

function requestBody(operation: HttpOperation, input: Schema, inPath: ReadonlySet<string>) {
  const fields = withoutProperties(input, inPath);
  const asJson = withoutProperties(fields, new Set(["file"]));
  const form = { ...fields, properties: { ...fields.properties, file: fileSchema } };
  return {
    required: (asJson.required ?? []).length > 0 || operation.http.body === "multipart",
    content: {
      "application/json": { schema: asJson },
      ...(operation.http.body === "multipart" ? { "multipart/form-data": { schema: form } } : {}),
    },
  };
}

function answers(operation: HttpOperation, components: Components): object {
  const output = placeSchema(outputSchema(operation), `${operation.name}.output`, components);
  const json = (description: string, schema: Schema) => ({
    description,
    content: { "application/json": { schema } },
  });
  const { answer } = operation.http;
  const body = answer === "stream" ? output : extendSchema(output, envelope, components);
  if (answer === "created") return { 201: json("Created", body) };
  if (answer === "job")
    return {
      202: json("The job, which runs on", body),
      200: json("With wait: the ended job, and its items where it is a bulk", open(body)),
    };
  if (answer === "stream")
    return {
      200: {
        description:
          "Server-sent events: `id` is the sequence, `data` JSON of this shape. A failure on the way is the event `error` with a problem.",
        content: { "text/event-stream": { schema: output } },
      },
    };
  return { 200: json("Done", body) };
}

function open(schema: Schema): Schema {
  return { ...schema, additionalProperties: true };
}

function whoMay({ permission }: Operation): string {
  if (permission === "public") return "Anybody may call this.";
  const own = permission.own ? ` Below ${permission.own.all}, one's own only.` : "";
  const grant = permission.grant
    ? ` Needs the right ${permission.grant.right} on the collection.`
    : "";
  return `Role: ${permission.role} or above.${own}${grant}`;
}

function tagOf(operation: Operation): string {
  return operation.name.split(".")[0] ?? operation.name;
}
