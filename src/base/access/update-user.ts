import type { WriteHandle } from "#base/database/index.ts";
import {
  ConflictError,
  CredentialInvalidError,
  InputInvalidError,
  PermissionDeniedError,
} from "#base/errors/index.ts";
import { type Principal, type Role, roleIncludes } from "./principal.ts";
import { toUser, type User, type UserRow } from "./user.ts";
import { checkRole, keepASuperadmin, nameTaken, type UserRooms } from "./user-rules.ts";

export type UserChange = {
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
  readonly password?: string | undefined;
  readonly currentPassword?: string | undefined;
  readonly disabled?: boolean | undefined;
};

/** Makes the change where `by` may; also returns the sign-ins that it ended. */
export async function updateUser(
  rooms: UserRooms,
  by: Principal,
  row: UserRow,
  change: UserChange,
): Promise<{ user: User; ended: string[] }> {
  const { passwords } = rooms;
  await checkChange(rooms, by, row, change);
  if (change.password !== undefined) passwords.check(change.password, change.name ?? row.name);
  const hash = change.password === undefined ? null : await passwords.hash(change.password);
  // Whoever could sign in with the old password, or while enabled, is signed out; a role is looked up with every request.
  const endsSessions = hash !== null || change.disabled === true;
  let ended: string[] = [];
  const user = await changed(rooms, row, change.name, async (handle) => {
    const { tables, answer } = handle;
    if (change.role !== undefined || change.disabled === true)
      await keepASuperadmin(
        tables,
        row.id,
        change.disabled === true ? null : (change.role ?? null),
      );
    const updated = await tables
      .updateTable("users")
      .set({
        updated_at: Date.now(),
        ...(change.name === undefined ? {} : { name: change.name }),
        ...(change.role === undefined ? {} : { role: change.role }),
        ...(change.disabled === undefined ? {} : { disabled: change.disabled ? 1 : 0 }),
        ...(hash === null ? {} : { password_hash: hash }),
      })
      .where("id", "=", row.id)
      // What may be done to a user hangs on this role.
      .where("role", "=", row.role)
      .returningAll()
      .executeTakeFirst();
    if (!updated) throw new ConflictError(`User ${row.name} was changed or deleted meanwhile.`);
    ended = endsSessions ? await rooms.endSessions(handle, row.id) : [];
    return answer(toUser(updated));
  });
  if (hash !== null) await rooms.lockOut.forgive(user.name);
  return { user, ended };
}

async function changed(
  { database }: UserRooms,
  row: UserRow,
  name: string | undefined,
  work: (handle: WriteHandle) => Promise<User>,
): Promise<User> {
  try {
    return await database.write(work);
  } catch (thrown) {
    throw nameTaken(thrown, name ?? row.name);
  }
}

/** Raises unless `by` may make this change. */
async function checkChange(
  { passwords, lockOut }: UserRooms,
  by: Principal,
  row: UserRow,
  change: UserChange,
): Promise<void> {
  if (Object.values(change).every((value) => value === undefined))
    throw new InputInvalidError("users.update changes nothing: name a field.", {
      errors: [{ pointer: "/", message: "names no change" }],
    });
  const self = by.owner === row.id;
  const admin = roleIncludes(by.role, "admin");
  if (!admin || (self && change.password !== undefined)) {
    const { password, currentPassword, ...rest } = change;
    if (
      !admin &&
      (password === undefined || Object.values(rest).some((value) => value !== undefined))
    )
      throw new PermissionDeniedError(
        "You may change your own password; everything else is for admins.",
      );
    // Guessed here, it would be guessed for signing in.
    await lockOut.attempt(row.name);
    const right = await passwords.verify(currentPassword ?? "", row.password_hash);
    if (!right) throw new CredentialInvalidError("currentPassword is not your password.");
    await lockOut.forgive(row.name);
  }
  if (self && (change.disabled === true || change.role !== undefined))
    throw new PermissionDeniedError(
      "Nobody changes their own role or disables themselves: ask another admin.",
    );
  if (admin) {
    checkRole(by, row.role as Role);
    if (change.role !== undefined) checkRole(by, change.role);
  }
}
