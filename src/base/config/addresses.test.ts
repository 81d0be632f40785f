import { join } from "node:path";
import fastCheck from "fast-check";
import { describe, expect, it } from "vitest";
import { databaseFault, hostFault, isLoopback, originFault, sqliteFile } from "./addresses.ts";
import { buildPostgresAddress } from "./database-parts.ts";

describe("addresses", () => {
  it("knows loopback addresses", () => {
    for (const host of ["127.0.0.1", "127.8.9.1", "localhost", "LOCALHOST", "::1"])
      expect(isLoopback(host)).toBe(true);
    for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.example.org", "localhost.example.org"])
      expect(isLoopback(host)).toBe(false);
  });

  it("accepts hosts and origins, never a wildcard", () => {
    for (const host of ["127.0.0.1", "::1", "fe80::1%eth0", "a.example.org", "my_host"])
      expect(hostFault(host)).toBeNull();
    for (const host of ["*", "a.*", "[::1]", "a:80", "a b", "-a", "a/b"])
      expect(hostFault(host)).not.toBeNull();
    for (const origin of ["https://a.example", "http://127.0.0.1:5173"])
      expect(originFault(origin)).toBeNull();
    for (const origin of [
      "*",
      "null",
      "https://a.example/x",
      "ftp://a.example",
      "https://A.example",
      "a.example",
    ])
      expect(originFault(origin)).not.toBeNull();
  });

  it("places a database file below the data directory unless it is absolute", () => {
    expect(databaseFault("sqlite:a/b.sqlite")).toBeNull();
    expect(sqliteFile("sqlite:a/b.sqlite", "/home")).toBe(join("/home", "a", "b.sqlite"));
    expect(sqliteFile("sqlite:/abs.sqlite", "/home")).toBe("/abs.sqlite");
  });

  it("builds addresses from which the same parts can be read again", () => {
    const part = fastCheck.string({ unit: "grapheme", minLength: 1 });
    fastCheck.assert(
      fastCheck.property(part, part, part, (user, password, name) => {
        const url = new URL(
          buildPostgresAddress({ host: "db.example", port: "5433", user, password, name }),
        );
        expect(decodeURIComponent(url.username)).toBe(user);
        expect(decodeURIComponent(url.password)).toBe(password);
        if (name !== "." && name !== "..")
          expect(decodeURIComponent(url.pathname.slice(1))).toBe(name);
        expect(url.host).toBe("db.example:5433");
      }),
    );
  });
});
