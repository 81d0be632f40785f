import { createHash, createHmac } from "node:crypto";
import type { Kysely } from "kysely";
import { idempotencyKeptMs, keepAnswer, type Tables, withAnswer } from "#base/database/index.ts";
import {
  IdempotencyInFlightError,
  IdempotencyMismatchError,
  InputInvalidError,
  type Notice,
} from "#base/errors/index.ts";
import { isDryRun, toAuditRecord } from "./audit-operation.ts";
import { checkOutput } from "./check-output.ts";
import type { Asked, Course } from "./course.ts";
import type { App, Operation } from "./define-operation.ts";

const inFlight = new Set<string>();

/**
 * Runs an effect: its audit entry is kept in the transaction that has it. With an idempotency key there is exactly one effect: a
 * replay gets the stored answer, another input is refused.
 */
export async function keepEffect(
  course: Course,
  asked: Asked,
  produce: () => Promise<unknown>,
): Promise<unknown> {
  const key = course.caller.idempotencyKey;
  if (key === undefined) return effectOf(course, null, produce);
  const { app, operation, notices } = course;
  const principal = checkKey(operation, asked, key);
  const slot = `${principal}\n${operation.name}\n${key}`;
  if (inFlight.has(slot))
    throw new IdempotencyInFlightError("The first request with this key is still running.", {
      retryAfterMs: 1000,
    });
  inFlight.add(slot);
  try {
    const inputHash = hashInput(app, asked.input);
    const stored = await storedAnswer(app, principal, operation.name, key);
    if (stored && stored.input_hash !== inputHash)
      throw new IdempotencyMismatchError(
        "This Idempotency-Key was used for another request. Use a new key.",
      );
    if (stored) return replay(operation, notices, JSON.parse(stored.answer));
    return await effectOf(course, { principal, key, inputHash }, produce);
  } finally {
    inFlight.delete(slot);
  }
}

/** Runs an effect so that its first answer keeps the audit entry, and the answer itself where the request has a key. */
async function effectOf(
  course: Course,
  idempotency: { principal: string; key: string; inputHash: string } | null,
  produce: () => Promise<unknown>,
): Promise<unknown> {
  const { app, operation } = course;
  const request = {
    stored: false,
    keep: async (tables: Kysely<Tables>, answer: unknown) => {
      if (idempotency)
        await keepAnswer(tables, {
          principal_id: idempotency.principal,
          operation: operation.name,
          key: idempotency.key,
          input_hash: idempotency.inputHash,
          answer: JSON.stringify(withoutSecret(answer)),
        });
      if (!isDryRun(answer)) await app.audit.append(tables, toAuditRecord(course, answer));
    },
  };
  return withAnswer(request, async () => {
    const output = await produce();
    // Nothing was written, or the effect keeps no answer of its own: it is kept all the same.
    if (!request.stored) await app.database.write(({ answer }) => answer(output));
    return output;
  });
}

/** Raises for a key that is none, and where a stored answer would be wrong. Returns whose key it is. */
function checkKey(operation: Operation, { principal }: Asked, key: string): string {
  if (!/^[\x21-\x7e]{1,200}$/.test(key))
    throw new InputInvalidError("Idempotency-Key takes 1 to 200 printable ASCII characters.", {
      errors: [{ pointer: "/Idempotency-Key", message: "1 to 200 printable ASCII characters" }],
    });
  // A stored answer belongs to one caller, and a replay would answer without opening or ending a session.
  if (operation.permission === "public" || operation.name === "auth.logout" || principal === null)
    throw new InputInvalidError(`${operation.name} takes no Idempotency-Key.`, {
      errors: [{ pointer: "/Idempotency-Key", message: "is not taken here" }],
    });
  return principal.id;
}

/** The same input has the same hash, which tells nobody without our key about a password in it; a file counts by its own hash. */
function hashInput(app: App, input: unknown): string {
  // `this[name]` and not the value: a Buffer has turned itself into a list of numbers by then.
  const text = JSON.stringify(
    input,
    function replace(this: Record<string, unknown>, name: string, value: unknown) {
      const held = this[name];
      return held instanceof Uint8Array ? createHash("sha256").update(held).digest("hex") : value;
    },
  );
  const { secretKey } = app.configuration.config.security;
  return createHmac("sha256", secretKey).update(text).digest("hex");
}

function storedAnswer(app: App, principal: string, operation: string, key: string) {
  const kept = Date.now() - idempotencyKeptMs;
  return app.database.read
    .selectFrom("idempotency")
    .select(["input_hash", "answer"])
    .where("principal_id", "=", principal)
    .where("operation", "=", operation)
    .where("key", "=", key)
    .where("created_at", ">", kept)
    .executeTakeFirst();
}

function replay(operation: Operation, notices: Notice[], answer: unknown): unknown {
  if (operation.name === "keys.create")
    notices.push({
      code: "key_shown_once",
      message: "The key was shown in the first answer only.",
    });
  return checkOutput(operation, answer);
}

/** An API key is shown once: a stored answer holds null in its place. */
function withoutSecret(answer: unknown): unknown {
  const holdsKey =
    typeof answer === "object" && answer !== null && "key" in answer && "prefix" in answer;
  return holdsKey ? { ...answer, key: null } : answer;
}
