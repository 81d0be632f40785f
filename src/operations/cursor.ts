import { createHmac, timingSafeEqual } from "node:crypto";
import { CursorStaleError } from "#base/errors/index.ts";

/**
 * Opaque list cursors: a position, signed together with the query it belongs to, so that a cursor of another query, or
 * one made up, is refused instead of paging into something else.
 */
export function encodeCursor(secretKey: string, query: unknown, position: unknown): string {
  const body = Buffer.from(JSON.stringify(position)).toString("base64url");
  return `${body}.${sign(secretKey, query, body)}`;
}

/** The position inside `cursor`. Raises CursorStaleError when it was not made for this query. */
export function decodeCursor(secretKey: string, query: unknown, cursor: string): unknown {
  const [body = "", signature = ""] = cursor.split(".");
  const expected = Buffer.from(sign(secretKey, query, body));
  const given = Buffer.from(signature);
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new CursorStaleError(
      "The cursor does not belong to this query. Start again without a cursor.",
    );
  return JSON.parse(Buffer.from(body, "base64url").toString("utf8")) as unknown;
}

function sign(secretKey: string, query: unknown, body: string): string {
  return createHmac("sha256", secretKey)
    .update(JSON.stringify(query))
    .update("\n")
    .update(body)
    .digest("base64url")
    .slice(0, 22);
}
