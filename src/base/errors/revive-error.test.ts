import { expect, test } from "vitest";
import { DefectError, errorCatalogue, errorFromCode, flattenError, reviveError } from "./index.ts";

test("every code of the catalogue comes back as its own class with all its fields", () => {
  for (const [code, definition] of errorCatalogue) {
    const error = errorFromCode(code, "why", {
      details: { value: 1 },
      errors: [{ pointer: "/a", message: "b" }],
      nextStep: { text: "do it" },
      retryAfterMs: 7,
    });
    const revived = reviveError(structuredClone(flattenError(error)));
    expect(revived.constructor).toBe(error.constructor);
    expect(revived.definition).toBe(definition);
    expect(revived).toMatchObject({
      name: error.name,
      message: "why",
      details: { value: 1 },
      errors: [{ pointer: "/a", message: "b" }],
      nextStep: { text: "do it" },
      retryAfterMs: 7,
    });
  }
});

test("a code that nobody knows is a defect that names it", () => {
  const error = errorFromCode("no_such_code", "why");
  expect(error).toBeInstanceOf(DefectError);
  expect(error.message).toBe('error code "no_such_code" is not in the catalogue: why');
});

test("the place of an unknown error stays visible, a secret in it does not", () => {
  const secret = `hf_${"a".repeat(30)}`;
  const flat = flattenError(new TypeError(`refused ${secret}`));
  expect(flat.code).toBe("defect");
  expect(flat.stack).toContain("revive-error.test.ts");
  expect(JSON.stringify(flat)).not.toContain(secret);
});
