import type { z } from "zod";
import { DefectError } from "#base/errors/index.ts";
import type { Operation } from "./define-operation.ts";

/** What the operation made, as its schema has it. Raises DefectError where it does not fit: that is a fault of Candor. */
export function checkOutput(operation: Operation, made: unknown): unknown {
  const checked = operation.output.safeParse(made);
  if (checked.success) return checked.data;
  const faults = (checked.error as z.ZodError).issues
    .slice(0, 5)
    .map((issue) => `/${issue.path.map(String).join("/")} ${issue.message}`);
  throw new DefectError(
    `${operation.name} made an answer that its schema refuses: ${faults.join("; ")}`,
  );
}
