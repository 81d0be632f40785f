import type { Database, WriteHandle } from "#base/database/index.ts";
import {
  AlreadyExistsError,
  LastOwnerError,
  NotFoundError,
  PermissionDeniedError,
} from "#base/errors/index.ts";
import type { LockOut } from "./lock-out.ts";
import type { Passwords } from "./passwords.ts";
import { type Principal, type Role, roleIncludes, roles } from "./principal.ts";
import { findUser, type UserRow } from "./user.ts";

/** What users stand on. */
export type UserRooms = {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly lockOut: LockOut;
  /** Ends every login and session of a user inside a transaction; returns their ids. */
  readonly endSessions: (handle: WriteHandle, user: string) => Promise<string[]>;
};

/** The row of a user that `by` may see: its own, as an admin everyone's. */
export async function reachable(
  database: Database,
  by: Principal,
  named: string,
): Promise<UserRow> {
  const row = await findUser(database, named);
  if (!row || !(roleIncludes(by.role, "admin") || by.owner === row.id))
    throw new NotFoundError(`There is no user "${named}".`);
  return row;
}

/** Raises PermissionDeniedError for a role above that of `by`. */
export function checkRole(by: Principal, role: Role): void {
  if (!roleIncludes(by.role, role))
    throw new PermissionDeniedError(
      `A user of role ${role} is made and changed by that role or above; you are ${by.role}.`,
      { details: { valid: roles.filter((known) => roleIncludes(by.role, known)) } },
    );
}

/** Raises LastOwnerError when no enabled superadmin would be left among the users; `role` is what the user becomes, null: nobody. */
export async function keepASuperadmin(
  tables: WriteHandle["tables"],
  user: string,
  role: Role | null,
): Promise<void> {
  if (role === "superadmin") return;
  const enabled = await tables
    .selectFrom("users")
    .select("id")
    .where("role", "=", "superadmin")
    .where("disabled", "=", 0)
    .limit(2)
    .execute();
  if (enabled.length === 1 && enabled[0]?.id === user)
    throw new LastOwnerError("This is the last superadmin: make somebody else superadmin first.");
}

/** The error of a name that another user has, or `thrown`. */
export function nameTaken(thrown: unknown, name: string): unknown {
  if (!(thrown instanceof AlreadyExistsError)) return thrown;
  return new AlreadyExistsError(`There is a user "${name}" already.`, {
    cause: thrown,
    errors: [{ pointer: "/name", message: "is taken" }],
  });
}
