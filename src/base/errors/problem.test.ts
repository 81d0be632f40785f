import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  CandorError,
  DiskFullError,
  errorCatalogue,
  NotFoundError,
  toCandorError,
  toProblem,
} from "./index.ts";

describe("toCandorError", () => {
  it("passes errors of the catalogue unchanged", () => {
    const error = new NotFoundError("gone");
    expect(toCandorError(error)).toBe(error);
  });

  it("makes a defect of whatever else can be thrown, with the value described", () => {
    expect(toCandorError(new TypeError("x is not a function")).message).toBe(
      "TypeError: x is not a function",
    );
    expect(toCandorError("boom").message).toBe("thrown string: boom");
    expect(toCandorError({ statusCode: 1 }).message).toBe(
      "thrown object with the fields statusCode",
    );
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (thrown) => {
        const error = toCandorError(thrown);
        expect(error).toBeInstanceOf(CandorError);
        expect(error.code).toBe("defect");
      }),
    );
  });
});

describe("what the system refuses to the whole process", () => {
  const refusal = (code: string) =>
    Object.assign(new Error(`${code}: open '/home/secret'`), { code, syscall: "open" });

  it.each([
    ["EMFILE", "overloaded"],
    ["ENFILE", "overloaded"],
    ["ENOSPC", "disk_full"],
    ["EDQUOT", "disk_full"],
  ])("%s is %s, to be tried again, and names no path", (code, expected) => {
    const error = toCandorError(refusal(code));
    expect(error).toMatchObject({ code: expected, retryable: true });
    expect(error.retryAfterMs).toBeGreaterThan(0);
    expect(error.message).not.toContain("/home");
  });

  it("is nothing else: a file that is missing is a defect of whoever did not foresee it", () => {
    expect(toCandorError(refusal("ENOENT")).code).toBe("defect");
    expect(toCandorError(Object.assign(new Error("x"), { code: "EMFILE" })).code).toBe("defect");
  });
});

describe("toProblem", () => {
  it("is a problem of RFC 9457 with our extensions", () => {
    const error = new DiskFullError("full", { retryAfterMs: 5000, details: { path: "/x" } });
    expect(toProblem(error, { requestId: "r1", ledgerId: "led_1" })).toEqual({
      type: "/docs/errors/disk_full",
      title: "The disk is full",
      status: 507,
      detail: "full",
      instance: "urn:candor:led_1",
      code: "disk_full",
      severity: "critical",
      retryable: true,
      retryAfterMs: 5000,
      details: { path: "/x" },
      requestId: "r1",
    });
  });

  it("keeps the inside of a defect to the ledger", () => {
    const problem = toProblem(new Error("SELECT secret FROM inside"));
    expect(problem.status).toBe(500);
    expect(JSON.stringify(problem)).not.toContain("inside");
    expect(problem.instance).toBeNull();
  });
});

describe("the catalogue", () => {
  it("has one snake_case code per line, with a title, a help text and a status that fits its family", () => {
    for (const [code, line] of errorCatalogue) {
      expect(code).toMatch(/^[a-z]+(?:_[a-z]+)*$/);
      expect(line.title.length).toBeGreaterThan(5);
      expect(line.help.length).toBeGreaterThan(10);
      expect(line.status).toBeGreaterThanOrEqual(400);
      if (line.category === "authentication") expect(line.status).toBe(401);
    }
    expect(errorCatalogue.size).toBeGreaterThanOrEqual(50);
  });
});
