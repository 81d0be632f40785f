import fc from "fast-check";
import type { Draft } from "./generate-requests.ts";

/** One way in which a request is not what the document says. */
export type RequestBreak = { readonly name: string; apply(draft: Draft): void };

/** Texts that parsers, databases and file systems have stumbled over. */
const hostileTexts = fc.oneof(
  fc.constantFrom(
    "\u0000",
    "a\u0000b",
    "\ud800",
    "\udfff\ud800",
    "\u202e\u0000",
    "\ufeff",
    "../../../../etc/passwd",
    "/etc/passwd",
    "C:\\Windows\\win.ini",
    "'; DROP TABLE users; --",
    '" OR ""="',
    "%00%0d%0a",
    "__proto__",
    "constructor",
    "toString",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "NEAR(a b) AND NOT c*",
    "1e400",
    "-0",
    "NaN",
    "",
  ),
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.nat({ max: 60_000 }).map((length) => "x".repeat(length)),
  fc.nat({ max: 3000 }).map((length) => "é€😀".repeat(length)),
);

const wrongValues: fc.Arbitrary<unknown> = fc.oneof(
  hostileTexts,
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(null, true, -1, 0, 0.5, 1e21, -1e308, 2 ** 53, [], {}, [[]], [null]),
  fc.constant(Array.from({ length: 2000 }, () => 0)),
);

const tricky = fc.constantFrom(
  "__proto__",
  "constructor",
  "prototype",
  "hasOwnProperty",
  "polluted",
  "file",
  "wait",
  "extra",
  "",
  "a.b",
  "a/b",
  "~1",
);

const textOf = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

/** A field of that very name, also `__proto__`. */
function setField(fields: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(fields, name, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

const one = (name: string, apply: (draft: Draft) => void): RequestBreak => ({ name, apply });

/** The fields of the body; a request without one gets one. */
function fieldsOf(draft: Draft): Record<string, unknown> {
  if (draft.body && "fields" in draft.body) return draft.body.fields;
  const fields: Record<string, unknown> = {};
  draft.body = { fields };
  return fields;
}

const inFields: fc.Arbitrary<RequestBreak> = fc.oneof(
  fc.tuple(fc.nat(), wrongValues).map(([at, value]) =>
    one("another value", (draft) => {
      const takesFields = draft.body !== null && "fields" in draft.body;
      if (!takesFields && draft.query.length > 0) {
        const pair = draft.query[at % draft.query.length];
        if (pair) pair[1] = encodeURIComponent(textOf(value).toWellFormed());
        return;
      }
      const fields = fieldsOf(draft);
      const names = Object.keys(fields);
      setField(fields, names[at % Math.max(1, names.length)] ?? "extra", value);
    }),
  ),
  fc.nat().map((at) =>
    one("a field less", (draft) => {
      const fields = fieldsOf(draft);
      const name = Object.keys(fields)[at % Math.max(1, Object.keys(fields).length)];
      if (name !== undefined) delete fields[name];
    }),
  ),
  fc
    .tuple(tricky, wrongValues)
    .map(([name, value]) =>
      one("an unknown field", (draft) => setField(fieldsOf(draft), name, value)),
    ),
  fc.constantFrom("__proto__", "constructor").map((name) =>
    one("a prototype", (draft) => {
      const poison = { polluted: true, prototype: { polluted: true } };
      const fields = fieldsOf(draft);
      const [inner] = Object.values(fields).filter(
        (value) => typeof value === "object" && value !== null,
      );
      setField((inner as Record<string, unknown> | undefined) ?? fields, name, poison);
    }),
  ),
);

const asBytes = (
  name: string,
  make: (text: string) => string | Buffer,
  type = "application/json",
) =>
  one(name, (draft) => {
    const text = draft.body && "fields" in draft.body ? JSON.stringify(draft.body.fields) : "{}";
    draft.body = { bytes: Buffer.from(make(text)), type };
  });

const inBytes: fc.Arbitrary<RequestBreak> = fc.oneof(
  fc.nat().map((at) => asBytes("a cut body", (text) => text.slice(0, at % text.length))),
  fc
    .uint8Array({ maxLength: 300 })
    .map((bytes) => asBytes("random bytes", () => Buffer.from(bytes))),
  fc
    .constantFrom(
      "null",
      "[]",
      "1",
      '"text"',
      "true",
      "",
      " ",
      "{}{}",
      "{'a':1}",
      '{"a":1e400}',
      '{"a":NaN}',
      '{"a":1,"a":2}',
      "\ufeff{}",
      '{"\\ud800":1}',
      '{"a":"\\ud800"}',
    )
    .map((text) => asBytes("another JSON", () => text)),
  fc
    .nat({ max: 5000 })
    .map((depth) =>
      asBytes("deep nesting", () => `{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`),
    ),
  fc
    .nat({ max: 99 })
    .map((depth) =>
      asBytes("nesting", () => `{"filter":${'{"and":['.repeat(depth)}${"]}".repeat(depth)}}`),
    ),
  fc
    .constantFrom(1_048_577, 2_000_000)
    .map((size) => asBytes("a large body", () => `{"a":"${"x".repeat(size)}"}`)),
  fc
    .constantFrom(
      "text/plain",
      "application/xml",
      "application/x-www-form-urlencoded",
      "application/json; charset=utf-16",
      "application/json; charset=utf-8",
      "multipart/form-data",
      "multipart/form-data; boundary=",
      "multipart/form-data; boundary=x",
      "nonsense",
      "application/json, text/html",
      "",
    )
    .map((type) => asBytes("another Content-Type", (text) => text, type)),
  fc
    .oneof(forms())
    .map((form) => asBytes("a broken form", () => form, "multipart/form-data; boundary=x")),
  fc.constantFrom("gzip", "br", "identity", "nonsense").map((encoding) =>
    one("a Content-Encoding", (draft) => {
      fieldsOf(draft);
      draft.headers.push(["content-encoding", encoding]);
    }),
  ),
);

/** Forms that end too early, name nothing, or hold too much. */
function forms(): fc.Arbitrary<string> {
  const part = (disposition: string, content: string) =>
    `--x\r\ncontent-disposition: ${disposition}\r\n\r\n${content}\r\n`;
  const parts = fc.oneof(
    fc
      .tuple(tricky, hostileTexts)
      .map(([name, text]) => part(`form-data; name="${name}"`, text.slice(0, 5000))),
    fc
      .constantFrom("note.md", "", "../../x", "a\u0000.md", "CON", "x.pdf", "x.tar.gz")
      .map((file) => part(`form-data; name="file"; filename="${file}"`, "text")),
    fc.constantFrom(
      part("form-data", "x"),
      part("attachment", "x"),
      "--x\r\n\r\n\r\n",
      "--x--",
      "\r\n",
      "--x",
      "nonsense",
    ),
  );
  return fc
    .tuple(fc.array(parts, { maxLength: 25 }), fc.boolean())
    .map(([all, ends]) => all.join("") + (ends ? "--x--\r\n" : ""));
}

const inAddress: fc.Arbitrary<RequestBreak> = fc.oneof(
  fc
    .constantFrom(
      "PUT",
      "POST",
      "DELETE",
      "PATCH",
      "GET",
      "HEAD",
      "OPTIONS",
      "TRACE",
      "PROPFIND",
      "get",
      "NONSENSE",
    )
    .map((method) => one("another method", (draft) => void (draft.method = method))),
  fc
    .constantFrom(
      "%2F",
      "%00",
      "%zz",
      "%ff",
      "%",
      "..",
      "/..",
      "//",
      "/",
      ";a=b",
      "?",
      "#x",
      "%2e%2e%2f",
      "\\",
      "%5c",
      "%0d%0a",
      "é",
      "😀",
      `/${"a".repeat(7000)}`,
      ":",
    )
    .map((piece) =>
      one("another path", (draft) => void (draft.path += Buffer.from(piece).toString("latin1"))),
    ),
  fc.tuple(fc.nat(), hostileTexts).map(([at, text]) =>
    one("a hostile part", (draft) => {
      const parts = draft.path.split("/");
      parts[Math.max(1, at % parts.length)] = encodeURIComponent(
        text.slice(0, 3000).toWellFormed(),
      );
      draft.path = parts.join("/");
    }),
  ),
  fc
    .constantFrom(
      "/",
      "/api",
      "/api/v1",
      "/API/V1/collections",
      "/api/v2/jobs",
      "//evil.example/health",
      "/static/../../package.json",
      "/static/..%2f..%2fpackage.json",
      "/docs/errors/__proto__",
      "/docs/errors/constructor",
      "*",
      "http://evil.example/health",
      "/metrics",
      "/%61pi/v1/jobs",
    )
    .map((path) => one("an unknown path", (draft) => void (draft.path = path))),
  fc
    .tuple(tricky, hostileTexts)
    .map(([name, text]) =>
      one(
        "an unknown parameter",
        (draft) =>
          void draft.query.push([
            encodeURIComponent(name),
            encodeURIComponent(text.slice(0, 2000).toWellFormed()),
          ]),
      ),
    ),
  fc
    .constantFrom(
      "%zz=1",
      "%ff=%ff",
      "=",
      "&&&",
      "__proto__[polluted]=true",
      "constructor[prototype][polluted]=true",
      "limit=1&limit=2",
      "limit=",
      "limit=1e1",
      "limit=0x10",
      "cursor=e30",
      "cursor=%00",
      "wait=maybe",
      "wait=true&wait=true",
    )
    .map((text) => one("another query string", (draft) => void draft.query.push([text, ""]))),
);

const inHeaders: fc.Arbitrary<RequestBreak> = fc.oneof(
  fc
    .constantFrom<readonly [string, string]>(
      ["__proto__", "x"],
      ["constructor", "x"],
      ["x-forwarded-for", "203.0.113.9"],
      ["x-forwarded-host", "evil.example"],
      ["x-http-method-override", "DELETE"],
      ["host", "evil.example"],
      ["host", ""],
      ["host", "127.0.0.1:notaport"],
      ["origin", "https://evil.example"],
      ["origin", "null"],
      ["referer", "https://evil.example/"],
      ["sec-fetch-site", "cross-site"],
      ["authorization", "Bearer"],
      ["authorization", "Bearer candor_nothing"],
      ["authorization", "Basic YTpi"],
      ["authorization", "Bearer a.b.c"],
      ["authorization", `Bearer ${"x".repeat(9000)}`],
      ["cookie", "candor_session=x; __proto__=y; =; a"],
      ["cookie", `a=${"x".repeat(9000)}`],
      ["idempotency-key", ""],
      ["idempotency-key", "again"],
      ["idempotency-key", "x".repeat(201)],
      ["idempotency-key", "\u00e9\u00ff"],
      ["last-event-id", "-1"],
      ["last-event-id", "1e9"],
      ["last-event-id", "x"],
      ["accept", "text/html"],
      ["accept", "*/*;q=nonsense"],
      ["range", "bytes=0-1"],
      ["if-none-match", "*"],
      ["expect", "100-continue"],
      ["expect", "nonsense"],
      ["x-request-id", "a b\tc"],
      ["traceparent", "00-0-0-0"],
      ["content-length", "-1"],
      ["content-length", "1, 2"],
      ["content-length", "0"],
      ["transfer-encoding", "chunked"],
      ["transfer-encoding", "gzip, chunked"],
      ["upgrade", "websocket"],
      ["connection", "upgrade, close"],
      ["x-large", "x".repeat(17_000)],
    )
    .map(([name, value]) =>
      one(`the header ${name}`, (draft) => void draft.headers.push([name, value])),
    ),
  fc
    .tuple(fc.string({ minLength: 1, maxLength: 30 }), fc.string({ unit: "binary", maxLength: 50 }))
    .map(([name, value]) =>
      one(
        "any header",
        (draft) =>
          void draft.headers.push([
            name.replaceAll(/[\r\n]/g, ""),
            value.replaceAll(/[\r\n]/g, ""),
          ]),
      ),
    ),
  fc
    .constantFrom("authorization", "host", "content-type", "content-length")
    .map((name) =>
      one(`${name} twice`, (draft) => void draft.headers.push([name, "1"], [name, "2"])),
    ),
);

/** Every way to break a request that this file knows. */
export const breaksOfRequest: fc.Arbitrary<RequestBreak> = fc.oneof(
  { weight: 4, arbitrary: inFields },
  { weight: 3, arbitrary: inBytes },
  { weight: 2, arbitrary: inAddress },
  { weight: 2, arbitrary: inHeaders },
);
