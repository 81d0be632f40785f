import fc from "fast-check";
import { knownValue, type KnownValues, singular } from "./known-values.ts";
import { breaksOfRequest, type RequestBreak } from "./break-requests.ts";
import { type Schema, valuesOfSchema } from "./values-of-schema.ts";

export type Parameter = {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required?: boolean;
  readonly schema?: Schema;
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
};

type Described = {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly parameters: readonly Parameter[];
  readonly requestBody?: {
    readonly required?: boolean;
    readonly content: Readonly<Record<string, { readonly schema: Schema }>>;
  };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
};

/** An OpenAPI document as the server describes itself. */
export type ApiDocument = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: unknown;
};

export type DescribedOperation = Described & { readonly method: string; readonly path: string };

/** Every operation of the document. */
export function operationsOf(document: ApiDocument): DescribedOperation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      ...operation,
      path,
      method: method.toUpperCase(),
    })),
  );
}

/** A request before it is bytes; breaks change it. */
export type Draft = {
  method: string;
  path: string;
  query: [name: string, value: string][];
  headers: [name: string, value: string][];
  /** Fields of a JSON body, or bytes with their Content-Type. */
  body: { fields: Record<string, unknown> } | { bytes: Buffer; type: string | null } | null;
};

export type PlannedRequest = {
  readonly operation: DescribedOperation;
  /** Names of what was broken; empty: the document promises that this is understood. */
  readonly broken: readonly string[];
  /** Which of the principals asks. */
  readonly principal: number;
  /** The request with everything looked up that the server told so far. */
  draft(known: KnownValues): Draft;
};

/** Requests to every operation of the document, two of five as it says, the others broken once or twice. */
export function requestsOfDocument(document: ApiDocument): fc.Arbitrary<PlannedRequest> {
  return fc.oneof(
    ...operationsOf(document).map((operation) =>
      fc
        .record({
          values: valuesOfOperation(document, operation),
          breaks: fc.oneof(
            { weight: 2, arbitrary: fc.constant<RequestBreak[]>([]) },
            { weight: 3, arbitrary: fc.array(breaksOfRequest, { minLength: 1, maxLength: 2 }) },
          ),
          principal: fc.nat(),
        })
        .map(({ values, breaks, principal }): PlannedRequest => ({
          operation,
          broken: breaks.map(({ name }) => name),
          principal,
          draft: (known) => {
            const draft = toDraft(operation, known.resolve(values) as Values);
            for (const one of breaks) one.apply(draft);
            return draft;
          },
        })),
    ),
  );
}

type Values = {
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly body: { readonly type: string; readonly fields: Record<string, unknown> } | null;
};

function valuesOfOperation(
  document: ApiDocument,
  { parameters, requestBody, tags }: Described,
): fc.Arbitrary<unknown> {
  const made = parameters.map((parameter) => {
    const schema = parameter.schema ?? parameter.content?.["application/json"]?.schema ?? {};
    const value = valuesOfSchema(document, schema, parameter.name);
    const given =
      parameter.in === "path"
        ? knownValue([parameter.name, singular(tags[0] ?? "")], value)
        : value;
    return [`${parameter.in} ${parameter.name}`, given] as const;
  });
  const required = parameters.filter((one) => one.required).map((one) => `${one.in} ${one.name}`);
  const bodies = Object.entries(requestBody?.content ?? {}).map(([type, { schema }]) =>
    fc.record({ type: fc.constant(type), fields: valuesOfSchema(document, schema) }),
  );
  const least = fc.record(Object.fromEntries(made.filter(([name]) => required.includes(name))));
  const more = fc.record(Object.fromEntries(made), { requiredKeys: [] });
  return fc.record({
    // What may be left out is mostly left out: one odd cursor, and nothing else of the request is looked at.
    parameters: fc.oneof(
      { weight: 2, arbitrary: least },
      { weight: 1, arbitrary: fc.tuple(more, least).map(([some, all]) => ({ ...some, ...all })) },
    ),
    body: bodies.length > 0 ? fc.oneof(...bodies) : fc.constant(null),
  });
}

function toDraft({ method, path, parameters }: DescribedOperation, values: Values): Draft {
  const valueOf = (one: Parameter) => values.parameters[`${one.in} ${one.name}`];
  const draft: Draft = { method, path, query: [], headers: [], body: null };
  for (const one of parameters) {
    const value = valueOf(one);
    if (value === undefined) continue;
    if (one.in === "path")
      draft.path = draft.path.replace(`{${one.name}}`, () =>
        encodeURIComponent(wellFormed(written(value))),
      );
    else if (one.in === "header") {
      const text = written(value).replaceAll(/[^!-~]/g, "");
      if (text !== "") draft.headers.push([one.name, text]);
    } else
      for (const each of Array.isArray(value) ? (value as unknown[]) : [value])
        draft.query.push([one.name, encodeURIComponent(wellFormed(written(each)))]);
  }
  if (values.body?.type === "application/json") draft.body = { fields: values.body.fields };
  else if (values.body) draft.body = toForm(values.body.fields);
  return draft;
}

/** A form with `file` as a file and everything else as text. */
function toForm(fields: Readonly<Record<string, unknown>>): { bytes: Buffer; type: string } {
  const boundary = "----candor-fuzz";
  const parts = Object.entries(fields).map(([name, value]) => {
    const isFile = name === "file";
    const head = `--${boundary}\r\ncontent-disposition: form-data; name="${name}"${isFile ? '; filename="note.md"\r\ncontent-type: text/markdown' : ""}\r\n\r\n`;
    return `${head}${written(value)}\r\n`;
  });
  return {
    bytes: Buffer.from(`${parts.join("")}--${boundary}--\r\n`),
    type: `multipart/form-data; boundary=${boundary}`,
  };
}

/** A value where only text can stand. */
function written(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Text that percent-encoding can carry. */
function wellFormed(text: string): string {
  return text.toWellFormed();
}

/** A draft as the bytes of one request on a connection that then ends. */
export function toBytes(
  draft: Draft,
  host: string,
  credentials: readonly (readonly [string, string])[],
): Buffer {
  const query = draft.query.map(([name, value]) => `${name}=${value}`).join("&");
  const body = bodyOf(draft.body);
  const own: [string, string][] = [
    ["host", host],
    ["connection", "close"],
    ...credentials.map(([name, value]): [string, string] => [name, value]),
    ...(body.type === null ? [] : [["content-type", body.type] as [string, string]]),
    ...(body.bytes === null
      ? []
      : [["content-length", String(body.bytes.length)] as [string, string]]),
  ];
  const taken = new Set(draft.headers.map(([name]) => name.toLowerCase()));
  const headers = [...own.filter(([name]) => !taken.has(name)), ...draft.headers];
  const head = [
    `${draft.method} ${draft.path}${query === "" ? "" : `?${query}`} HTTP/1.1`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ].join("\r\n");
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`, "latin1"), body.bytes ?? Buffer.alloc(0)]);
}

function bodyOf(body: Draft["body"]): { bytes: Buffer | null; type: string | null } {
  if (body === null) return { bytes: null, type: null };
  if ("fields" in body)
    return { bytes: Buffer.from(JSON.stringify(body.fields)), type: "application/json" };
  return body;
}
