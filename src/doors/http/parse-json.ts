import type { FastifyInstance, FastifyRequest } from "fastify";
import { MalformedRequestError, UnsupportedMediaTypeError } from "#base/errors/index.ts";
import type { HttpLimits } from "./limits.ts";

/**
 * Reads JSON bodies: UTF-8 that is really UTF-8, nesting within the limit (found before parsing, in one pass), and no
 * `__proto__` or `constructor` that could reach a prototype. An empty body is no body.
 */
export function addJsonParser(server: FastifyInstance, limits: HttpLimits): void {
  const parse = server.getDefaultJsonParser("error", "error");
  server.removeAllContentTypeParsers();
  server.addContentTypeParser(
    "application/json",
    { parseAs: "buffer" },
    (request: FastifyRequest, body, done) => {
      refuseEncodings(request);
      const text = decode(body as Buffer);
      if (text === "") return done(null, undefined);
      checkDepth(text, limits.jsonDepth);
      void parse(request, text, done);
    },
  );
}

function refuseEncodings(request: FastifyRequest): void {
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity")
    throw new UnsupportedMediaTypeError(
      `Content-Encoding "${encoding}" is not accepted: send the body as it is.`,
    );
  const charset = /charset\s*=\s*"?([^\s;"]+)/i.exec(request.headers["content-type"] ?? "")?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset))
    throw new UnsupportedMediaTypeError(`JSON is read as UTF-8, not as "${charset}".`);
}

function decode(body: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch (thrown) {
    throw new MalformedRequestError("The body is not valid UTF-8.", { cause: thrown });
  }
}

/** Raises when `text` opens more than `deepest` brackets within one another; brackets inside strings do not count. */
function checkDepth(text: string, deepest: number): void {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code === backslash) at += 1;
      else if (code === quote) quoted = false;
    } else if (code === quote) quoted = true;
    else if (code === openBracket || code === openBrace) {
      depth += 1;
      if (depth > deepest)
        throw new MalformedRequestError(`The body nests more than ${deepest} levels deep.`);
    } else if (code === closeBracket || code === closeBrace) depth -= 1;
  }
}

const quote = 0x22;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
