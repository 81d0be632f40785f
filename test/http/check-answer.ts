import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { errorCatalogue } from "#base/errors/index.ts";
import { type ApiDocument, type DescribedOperation, operationsOf } from "./generate-requests.ts";
import type { RawAnswer } from "./send-raw-request.ts";

/** Finds what is wrong with an answer; empty when all is as the document says. */
export type CheckAnswer = (
  operation: DescribedOperation,
  method: string,
  path: string,
  answer: RawAnswer,
) => string[];

/** What no answer may hold: frames of a stack, places of this machine, words of the database. */
const inner = [
  /\n\s+at .+:\d+:\d+/,
  /\bat .+\(.+:\d+:\d+\)/,
  /\bnode:internal\//,
  /node_modules/,
  /\.[cm]?[jt]s:\d+/,
  /\b(?:SELECT\b[\s\S]{1,300}\bFROM|INSERT INTO|UPDATE\b.{1,100}\bSET|DELETE FROM)\b/,
  /SQLITE_|near ".*": syntax error|no such (?:table|column)|constraint failed/i,
  /\[object Object\]|(?<!received )\bundefined\b/,
];

/** Checks against a document. `places` are folders of this machine that only answers to administrators may name. */
export function createAnswerCheck(document: ApiDocument, places: readonly string[]): CheckAnswer {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, "openapi");
  const compile = (schema: unknown): ValidateFunction =>
    ajv.compile(
      JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"openapi#/')) as object,
    );
  const problem = compile({ $ref: "#/components/schemas/Problem" });
  const shapes = new Map(
    operationsOf(document).flatMap(({ operationId, responses }) =>
      Object.entries(responses).flatMap(([status, { content = {} }]) =>
        Object.entries(content).map(
          ([type, { schema }]) => [`${operationId} ${status} ${type}`, compile(schema)] as const,
        ),
      ),
    ),
  );
  return (operation, method, path, answer) => {
    const type = (answer.headers.get("content-type") ?? "").split(";")[0] ?? "";
    const faults = answer.status >= 400 ? checkProblem(problem, method, type, answer) : [];
    const isOwn = method === operation.method && isPathOf(operation.path, path);
    if (answer.status < 400 && isOwn) {
      const check = shapes.get(`${operation.operationId} ${answer.status} ${type}`);
      if (!check) faults.push(`${answer.status} ${type} is not described`);
      else faults.push(...checkShape(check, type, answer, problem));
    }
    // What was asked is sometimes quoted; only texts of the server's own can leak.
    const text = answer.status >= 400 ? answer.body : "";
    for (const shape of inner)
      if (shape.test(text)) faults.push(`holds ${String(shape.exec(text)?.[0]).slice(0, 100)}`);
    for (const place of places) if (text.includes(place)) faults.push(`names the place ${place}`);
    return faults;
  };
}

function checkProblem(
  problem: ValidateFunction,
  method: string,
  type: string,
  { status, body, headers }: RawAnswer,
): string[] {
  if (method === "HEAD") return [];
  if (type !== "application/problem+json")
    return [`${status} is ${type}, no problem: ${body.slice(0, 200)}`];
  const parsed = JSON.parse(body) as { code: string; status: number };
  if (!problem(parsed)) return [`is no problem: ${JSON.stringify(problem.errors)}`];
  const known = errorCatalogue.get(parsed.code);
  return [
    ...(known ? [] : [`has the unknown code ${parsed.code}`]),
    ...(known && known.status !== status
      ? [`${parsed.code} with ${status}, not ${known.status}`]
      : []),
    ...(parsed.status === status ? [] : [`says ${parsed.status} and is ${status}`]),
    ...(headers.get("x-content-type-options") === "nosniff" ? [] : ["has no security headers"]),
    ...(status < 500 ? [] : [`is a ${status} with ${parsed.code}: ${body.slice(0, 400)}`]),
  ];
}

function checkShape(
  check: ValidateFunction,
  type: string,
  { body, ended }: RawAnswer,
  problem: ValidateFunction,
): string[] {
  const wrong = (one: ValidateFunction, value: unknown) =>
    one(value)
      ? []
      : [
          `does not match its schema: ${JSON.stringify(one.errors?.slice(0, 3))} ${JSON.stringify(value).slice(0, 300)}`,
        ];
  if (type !== "text/event-stream") return wrong(check, JSON.parse(body));
  const events = body.split("\n\n");
  // The last one may be cut where we stopped to listen.
  if (!ended) events.pop();
  return events.flatMap((event) => {
    const data = /^data: (.*)$/m.exec(event)?.[1];
    if (data === undefined) return [];
    return wrong(/^event: error$/m.test(event) ? problem : check, JSON.parse(data));
  });
}

/** Whether a path, as it was sent, is one of this template. */
function isPathOf(template: string, path: string): boolean {
  const pattern = template
    .replaceAll(/[.*+?^$()|[\]\\]/g, String.raw`\$&`)
    .replaceAll(/\{\w+\}/g, "[^/?#]+");
  return new RegExp(`^${pattern}$`).test(path);
}
