import { z } from "zod";
import { roles } from "#base/access/index.ts";
import { toProblem } from "#base/errors/index.ts";
import { filterOperators } from "#workbench/search/index.ts";
import { type Operation, operations } from "#operations/index.ts";
import { collectionSchema } from "#operations/collections/collection-schema.ts";
import { documentSchema } from "#operations/documents/document-schema.ts";
import { toInputError } from "#operations/input-faults.ts";
import { keySchemaFields } from "#operations/keys/key-schema.ts";
import { ledgerEntrySchema } from "#operations/ledger/ledger-schema.ts";
import * as shared from "#operations/shapes.ts";
import { spaceSchema } from "#operations/spaces/space-schema.ts";
import { httpLimits } from "../src/doors/http/limits.ts";
import { pathOf } from "../src/doors/http/routes.ts";
import { inputSchema, outputSchema, type Schema } from "../src/doors/http/openapi/schemas.ts";
import { fieldRows, type Shape, shapeOf, toShape, typeText } from "./describe-schema.ts";
import { httpExamples } from "./http-examples.ts";
import { markdownTable } from "./markdown-table.ts";

type Place = NonNullable<Operation["http"]>;

const shapes: readonly Shape[] = [
  named("Collection", collectionSchema),
  named("Document", documentSchema),
  named("Job", shared.jobSchema),
  named("Space", spaceSchema),
  named("Key", z.object(keySchemaFields)),
  named("Ledger entry", ledgerEntrySchema),
  named("Deleted", shared.deletedSchema),
  named("Problem", shared.problemSchema),
  named("Space in brief", shared.spaceBriefSchema),
  named("Counts", shared.countsSchema),
  named("Location", shared.locationSchema),
  named("Freshness", shared.freshnessSchema),
];

function named(name: string, schema: z.ZodType): Shape {
  return toShape(name, z.toJSONSchema(schema, { io: "output", unrepresentable: "any" }) as Schema);
}

/** `docs/http.md`, from the operation table. */
export function renderHttp(): string {
  const offered = operations.filter(({ http }) => http !== null);
  const groups = new Map<string, Operation[]>();
  for (const operation of offered) {
    const group = operation.name.split(".")[0] ?? "";
    groups.set(group, [...(groups.get(group) ?? []), operation]);
  }
  const overview = offered.map((operation) => [
    `[\`${operation.name}\`](#${anchorOf(operation)})`,
    `\`${addressOf(operation)}\``,
    whoText(operation),
    operation.summary,
  ]);
  return `${[
    beginning,
    `## The ${offered.length} operations`,
    markdownTable(["Operation", "Method and path", "Who", "What it does"], overview),
    ...[...groups].map(([group, members]) =>
      [`## ${group}`, ...members.map(renderOperation)].join("\n\n"),
    ),
    `## Shapes`,
    ...shapes.map(renderShape),
    filterText,
    otherPaths,
  ].join("\n\n")}\n`;
}

function placeOf({ name, http }: Operation): Place {
  if (http === null) throw new TypeError(`${name} has no place on HTTP`);
  return http;
}

function addressOf(operation: Operation): string {
  const place = placeOf(operation);
  return `${place.method} ${pathOf(place).replaceAll(/:(\w+)/g, "{$1}")}`;
}

/** The anchor of an operation's heading, as GitHub and most renderers make it: `search.query` gives `searchquery`. */
function anchorOf({ name }: Operation): string {
  return name.toLowerCase().replaceAll(".", "");
}

function whoText({ permission }: Operation): string {
  if (permission === "public") return "anybody";
  const grant = permission.grant ? `, ${permission.grant.right} right` : "";
  const own = permission.own ? `, own only below ${permission.own.all}` : "";
  return `${permission.role}${grant}${own}`;
}

function renderOperation(operation: Operation): string {
  const effects = { read: "changes nothing", write: "changes things", destroy: "removes things" };
  const { answer } = placeOf(operation);
  const answers = {
    created: "201 with the body below",
    job: "202 with the job; with `?wait=true` 200 when it has ended",
    stream: "200 with server-sent events, each with `data` as below",
  };
  const cli = operation.cli ? ` On the command line: \`candor ${operation.cli.command}\`.` : "";
  return [
    `### ${operation.name}`,
    `\`${addressOf(operation)}\``,
    `${operation.summary}. Who: ${whoText(operation)}. It ${effects[operation.effect]}. Answers ${answer ? answers[answer] : "200 with the body below"}.${cli}`,
    renderInput(operation),
    ...renderExample(operation),
    renderOutput(operation),
  ].join("\n\n");
}

function renderInput(operation: Operation): string {
  const schema = inputSchema(operation);
  const place = placeOf(operation);
  const inPath = pathFields(place);
  const elsewhere = ["POST", "PATCH"].includes(place.method) ? "body" : "query";
  const rows = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const field = property as Schema;
    const standard = field.default === undefined ? "" : `\`${JSON.stringify(field.default)}\``;
    return [
      `\`${name}\``,
      inPath.has(name) ? "path" : elsewhere,
      name === "file" && place.body === "multipart" ? "file" : typeText(field, shapes),
      schema.required?.includes(name) ? "required" : standard,
      field.description ?? "",
    ];
  });
  return rows.length === 0
    ? "No input."
    : markdownTable(["Input", "In", "Type", "Default", "What"], rows);
}

function pathFields(place: Place): ReadonlySet<string> {
  return new Set([...place.path.matchAll(/:(\w+)/g)].map(([, name]) => name ?? ""));
}

function renderExample(operation: Operation): string[] {
  const example = httpExamples[operation.name];
  if (!example) return [];
  const wrong = example.wrong.map(({ input, why }) => [
    `\`${JSON.stringify(bodyOf(operation, input))}\``,
    refusalOf(operation, input),
    why,
  ]);
  return [
    "Right:",
    `\`\`\`sh\n${curlOf(operation, example.right)}\n\`\`\``,
    "Wrong:",
    markdownTable(["Body", "The answer (422) names", "Why"], wrong),
  ];
}

function bodyOf(operation: Operation, input: Readonly<Record<string, unknown>>): object {
  const inPath = pathFields(placeOf(operation));
  return Object.fromEntries(Object.entries(input).filter(([name]) => !inPath.has(name)));
}

function curlOf(operation: Operation, input: Readonly<Record<string, unknown>>): string {
  const place = placeOf(operation);
  const path = pathOf(place).replaceAll(/:(\w+)/g, (_, name: string) =>
    encodeURIComponent(String(input[name])),
  );
  return [
    `curl -X ${place.method} http://127.0.0.1:7340${path} \\`,
    `  -H "Authorization: Bearer $CANDOR_KEY" -H "Content-Type: application/json" \\`,
    `  -d '${JSON.stringify(bodyOf(operation, input))}'`,
  ].join("\n");
}

/** What the operation itself says of a wrong input. */
function refusalOf(operation: Operation, input: unknown): string {
  const { error } = operation.input.safeParse(input);
  if (!error) throw new TypeError(`a wrong example of ${operation.name} is not wrong`);
  const { errors = [] } = toProblem(toInputError(operation.name, error));
  return errors
    .map(({ pointer, message }) => `\`${pointer}\` ${message.replaceAll(/[<>*]/g, "\\$&")}`)
    .join("; ");
}

function renderOutput(operation: Operation): string {
  const schema = outputSchema(operation);
  const shape = shapeOf(schema, shapes);
  if (shape) return `Answer: a ${typeText(schema, shapes)}.`;
  return fieldTable("Answer", schema);
}

function renderShape({ name, schema }: Shape): string {
  const others = shapes.filter((shape) => shape.name !== name);
  return `### ${name}\n\n${fieldTable("Field", schema, others)}`;
}

function fieldTable(title: string, schema: Schema, known: readonly Shape[] = shapes): string {
  const rows = fieldRows(schema, known).map(({ path, type, always }) => [
    `\`${path}\``,
    type,
    always ? "always" : "sometimes",
  ]);
  return markdownTable([title, "Type", "There"], rows);
}

const kibibytes = (bytes: number) => `${bytes / 1024} KiB`;
const mebibytes = (bytes: number) => `${bytes / 1024 / 1024} MiB`;
const seconds = (ms: number) => `${ms / 1000} s`;

const beginning = `# HTTP

Generated by \`npm run docs\` from the operation table in \`src/operations/\`. A running server shows the operations at \`/docs\` and describes itself as OpenAPI 3.1 at \`/api/v1/openapi.json\`.

- **Address.** \`http://127.0.0.1:7340\` unless configured otherwise. Only requests under the server's own host names (and \`server.trustedHosts\`) are answered, and no page of another origin unless \`cors.origins\` names it.
- **Who calls.** \`Authorization: Bearer <key>\`, with a key from \`candor keys create\`. A key is a principal of its own: it sees the collections that it created. Roles \`admin\` and above see all. Roles from high to low, each with all below it: ${roles.map((role) => `\`${role}\``).join(", ")}. A signed-in page has a cookie instead; what it changes needs the header \`X-Candor-Request\`.
- **Input.** POST and PATCH take a JSON object; GET and DELETE take a query string, lists as a repeated name. Unknown fields are refused, never ignored. A missing thing and one that you may not see answer the same 404.
- **Answers.** The body below, plus \`requestId\`, \`tookMs\` and, where there are any, \`notices\`. Times are ISO 8601 in UTC. Failures are problems: see [errors.md](errors.md).
- **Lists.** \`limit\` and \`cursor\` in; \`items\`, \`nextCursor\` (null at the end) and \`total\` (null where it is not counted) out. A cursor belongs to its query.
- **Long work.** Operations that answer with a job return at once. \`?wait=true\` waits for the job's end. \`GET /api/v1/jobs/{job}/events\` streams its progress; \`Last-Event-ID\` goes on where a stream broke off.
- **Once only.** Operations that change things take \`Idempotency-Key\`: the same key with the same input within 24 hours returns the stored answer, with another input 422.
- **Limits.** JSON bodies ${mebibytes(httpLimits.jsonBytes)}; forms and batches \`server.bodyLimitMegabytes\`; nesting ${httpLimits.jsonDepth}; request line and headers ${kibibytes(httpLimits.headerBytes)}; ${seconds(httpLimits.receiveMs)} to send all but uploads; \`server.requestTimeoutSeconds\` for one operation. Requests per minute: \`security.requestsPerMinute\` for each caller, \`security.requestsPerMinutePerAddress\` for an address without an accepted credential, \`security.failuresPerMinutePerAddress\` for wrong credentials; above them 429 \`rate_limited\`, and 503 \`overloaded\` when there is more than can be done in time, both with \`Retry-After\`. More in [running.md](running.md).`;

const filterText = `### Filter

A condition \`{ "field": …, "op": …, "value": … }\`, or \`{ "and": [ … ] }\` or \`{ "or": [ … ] }\` of filters, at most 5 levels deep and 50 conditions. Operators: ${filterOperators.map((operator) => `\`${operator}\``).join(", ")}. Fields: \`id\`, \`key\`, \`title\`, \`mediaType\`, \`format\`, \`language\`, \`source\`, \`bytes\`, \`indexedAt\` and \`metadata.<name>\`.`;

const otherPaths = `## Other paths\n\n${markdownTable(
  ["Path", "Who", "What"],
  [
    ["`GET /`", "anybody", "a page that signs in and searches"],
    ["`GET /docs`", "anybody", "the operations with their schemas, as a page"],
    ["`GET /docs/errors`", "anybody", "the errors, each with a page of its own"],
    ["`GET /api/v1/openapi.json`", "read_only", "OpenAPI 3.1"],
    ["`GET /metrics`", "read_only", "counters in Prometheus’ text format"],
  ],
)}`;
