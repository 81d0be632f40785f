import { expect, test } from "vitest";
import {
  CancelledError,
  ConfigurationInvalidError,
  CredentialInvalidError,
  DiskFullError,
  errorFromCode,
  InputInvalidError,
  NotFoundError,
  PermissionDeniedError,
  PortInUseError,
} from "#base/errors/index.ts";
import { exitOfAnswer, exitOfFailure, exitOfJob, problemOfFailure } from "./exit-codes.ts";

test.each([
  [new NotFoundError("x"), "failed"],
  [new DiskFullError("x"), "failed"],
  [new TypeError("x"), "failed"],
  [new InputInvalidError("x"), "usage"],
  [new ConfigurationInvalidError("x"), "usage"],
  [new PortInUseError("x"), "usage"],
  [new CredentialInvalidError("x"), "refused"],
  [new PermissionDeniedError("x"), "refused"],
  [new CancelledError("x"), "cancelled"],
])("%o ends as %s", (error, exit) => expect(exitOfFailure(error)).toBe(exit));

test.each([
  ["succeeded", "ok"],
  ["partial", "partial"],
  ["failed", "failed"],
  ["interrupted", "failed"],
  ["cancelled", "cancelled"],
] as const)("a job that is %s ends as %s", (state, exit) =>
  expect(exitOfJob({ state } as Parameters<typeof exitOfJob>[0])).toBe(exit),
);

test("a bulk ends by its counts; a job that is only shown does not", () => {
  expect(exitOfAnswer({ done: 2, failed: 0 })).toBe("ok");
  expect(exitOfAnswer({ done: 2, failed: 1 })).toBe("partial");
  expect(exitOfAnswer({ done: 0, failed: 1 })).toBe("failed");
  expect(exitOfAnswer({ state: "failed", done: 0, failed: 1 })).toBe("ok");
  expect(exitOfAnswer("text")).toBe("ok");
});

test("the server's own problem is shown, with its ledger entry", () => {
  const problem = { code: "not_found", detail: "no", status: 404, instance: "urn:candor:led_1" };
  const error = errorFromCode("not_found", "no", { cause: problem });
  expect(problemOfFailure(error)).toBe(problem);
});

test("a fault of the command itself is named, because no ledger has it", () => {
  expect(problemOfFailure(new TypeError("bad thing"))).toMatchObject({
    code: "defect",
    detail: "TypeError: bad thing",
  });
});
