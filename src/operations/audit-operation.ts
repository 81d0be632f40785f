import { setImmediate } from "node:timers/promises";
import { type CandorError, PermissionDeniedError } from "#base/errors/index.ts";
import type { AuditRecord } from "#base/ledger/index.ts";
import { type Course, toLedgerContext } from "./course.ts";
import { findHidden } from "./find-hidden.ts";

/** The entry of an effect that was had; `answer` names a thing that was made by it. */
export function toAuditRecord(course: Course, answer: unknown): AuditRecord {
  return {
    ...callOf(course),
    target: course.noted.target ?? namedThing(course) ?? madeThing(course, answer),
    outcome: "done",
    code: null,
  };
}

/** A dry run changes nothing: there is nothing to tell. */
export function isDryRun(answer: unknown): boolean {
  return fieldOf(answer, "dryRun") === true;
}

/**
 * Keeps what was refused to somebody for want of a right, whatever it was, and every effect that failed for another reason than
 * its input. Never throws, is not waited for and begins after the answer: a refusal must not take longer for a thing that is
 * there. What the answer said is not there is a refusal in the ledger too. An entry that cannot be written goes to the ledger.
 */
export async function keepFailure(course: Course, error: CandorError): Promise<void> {
  const { app, operation, noted } = course;
  const changes = operation.effect !== "read";
  const failed = changes && error.status >= 500;
  const refused =
    ["authorization", "security"].includes(error.category) ||
    (changes && error.category === "authentication");
  if (!failed && !refused && error.code !== "not_found") return;
  try {
    await setImmediate();
    const hidden = failed || refused ? null : await findHidden(course);
    if (!failed && !refused && !hidden) return;
    if (hidden?.type === "collection") noted.collection = hidden.id;
    const record: AuditRecord = {
      ...callOf(course),
      target: noted.target ?? namedThing(course) ?? hidden,
      outcome: failed ? "failed" : "refused",
      code: hidden ? "permission_denied" : error.code,
    };
    await Promise.all([
      app.database.write(({ tables }) => app.audit.append(tables, record)),
      hidden && app.ledger.record(hiddenRefusal(course, hidden), toLedgerContext(course)),
    ]);
  } catch (thrown) {
    await app.ledger.record(thrown, toLedgerContext(course));
  }
}

/** To its caller the thing is not there; the ledger knows that somebody without a right asked for it. */
function hiddenRefusal(
  { caller }: Course,
  { type, id }: { type: string; id: string },
): CandorError {
  return new PermissionDeniedError(`${caller.principal?.id} has no right on ${type} ${id}.`);
}

function callOf({ operation, caller, requestId }: Course) {
  return {
    principal: caller.principal?.id ?? null,
    role: caller.principal?.role ?? null,
    operation: operation.name,
    requestId,
    address: caller.address ?? null,
  };
}

/**
 * The thing that the path of the operation names, with what it lies in: `/collections/:collection/documents/:document` acts on
 * the document `col_…/notes.md`.
 */
function namedThing({ operation, noted }: Course): AuditRecord["target"] {
  const names = operation.http?.path.match(/(?<=:)[a-z]+/gi) ?? [];
  const type = names.at(-1);
  const ids = names.map((name) =>
    name === "collection" && noted.collection ? noted.collection : fieldOf(noted.input, name),
  );
  const known = ids.every((id) => typeof id === "string");
  return type !== undefined && known ? { type, id: ids.join("/") } : null;
}

/** The thing that was made: the answer has its id, the operation's name what it is. */
function madeThing({ operation }: Course, answer: unknown): AuditRecord["target"] {
  const made = fieldOf(answer, "job") ?? fieldOf(answer, "document") ?? answer;
  const id = fieldOf(made, "id");
  const [noun = ""] = operation.name.split(".");
  return typeof id === "string" ? { type: noun.replace(/s$/, ""), id } : null;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
