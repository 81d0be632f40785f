import fc from "fast-check";
import { expect, it } from "vitest";
import { decodeCursor, encodeCursor } from "./cursor.ts";

const key = "k".repeat(32);

it("gives back the position for the query it was made for", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (query, position) => {
      // JSON knows no negative zero.
      const sent = JSON.parse(JSON.stringify(position)) as unknown;
      expect(decodeCursor(key, query, encodeCursor(key, query, sent))).toEqual(sent);
    }),
  );
});

it("refuses a cursor of another query, of another server, or one that was made up", () => {
  const cursor = encodeCursor(key, { name: "jobs.list", limit: 5 }, "job_1");
  const [body = "", signature = ""] = cursor.split(".");
  const other = Buffer.from('"job_2"').toString("base64url");
  const wrong: [string, unknown, string][] = [
    [key, { name: "jobs.list", limit: 6 }, cursor],
    [key, { name: "keys.list", limit: 5 }, cursor],
    ["x".repeat(32), { name: "jobs.list", limit: 5 }, cursor],
    [key, { name: "jobs.list", limit: 5 }, `${other}.${signature}`],
    [key, { name: "jobs.list", limit: 5 }, body],
    [key, { name: "jobs.list", limit: 5 }, ""],
    [key, { name: "jobs.list", limit: 5 }, "…"],
  ];
  for (const [secret, query, given] of wrong)
    expect(() => decodeCursor(secret, query, given)).toThrow(
      expect.objectContaining({ code: "cursor_stale", status: 409 }),
    );
});

it("never opens what it did not make", () => {
  fc.assert(
    fc.property(fc.string(), (given) => {
      expect(() => decodeCursor(key, {}, given)).toThrow(
        expect.objectContaining({ code: "cursor_stale" }),
      );
    }),
  );
});
