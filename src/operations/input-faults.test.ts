import { expect, it } from "vitest";
import { z } from "zod";
import { toInputError } from "./input-faults.ts";

const schema = z.strictObject({
  mode: z.enum(["a", "b"]),
  limit: z.int().max(10),
  "odd/~name": z.array(z.strictObject({ n: z.number() })).optional(),
  choice: z.union([z.number(), z.boolean()]).optional(),
});

function faults(input: unknown) {
  const parsed = schema.safeParse(input);
  if (parsed.success) throw new Error("the input is valid");
  return toInputError("things.do", parsed.error);
}

it("names every bad field with its pointer, and the valid values where the choice is closed", () => {
  const error = faults({
    mode: "c",
    limit: 11,
    "odd/~name": [{ n: 1 }, { n: "x", extra: 1 }],
    choice: "neither",
    unknown: 1,
    "un/known": 2,
  });
  expect(error).toMatchObject({ code: "input_invalid", status: 422 });
  const byPointer = new Map(error.errors?.map((fault) => [fault.pointer, fault]));
  expect([...byPointer.keys()].toSorted((one, other) => one.localeCompare(other))).toEqual(
    [
      "/choice",
      "/limit",
      "/mode",
      "/odd~1~0name/1/extra",
      "/odd~1~0name/1/n",
      "/un~1known",
      "/unknown",
    ].toSorted((one, other) => one.localeCompare(other)),
  );
  expect(byPointer.get("/mode")?.valid).toEqual(["a", "b"]);
  expect(byPointer.get("/unknown")?.message).toBe("is not a field of this input");
  expect(error.message).toMatch(/^things\.do: \/mode .* \(and 6 more\)$/);
});

it("points at the root when the input is no object, and lists at most fifty faults", () => {
  expect(faults("text").errors).toMatchObject([{ pointer: "" }]);
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, number) => [`f${number}`, 1]));
  expect(faults({ mode: "a", limit: 1, ...many }).errors).toHaveLength(50);
});
