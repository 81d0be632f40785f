import type { WriteHandle } from "#base/database/index.ts";
import { ConflictError, PermissionDeniedError } from "#base/errors/index.ts";
import type { Principal, Role } from "./principal.ts";
import type { UserRow } from "./user.ts";
import { checkRole, keepASuperadmin, type UserRooms } from "./user-rules.ts";

export type UserDeletion = {
  deleted: { users: number; grants: number; keys: number };
  /** What stays, and to whom it falls: collections that had no other owner are reached by admins. */
  dependents: { type: string; count: number }[];
  dryRun: boolean;
  undo: null;
};

/** Deletes where `by` may, or counts what would go; also returns the sign-ins that ended. */
export async function deleteUser(
  rooms: UserRooms,
  by: Principal,
  row: UserRow,
  dryRun: boolean,
): Promise<{ deletion: UserDeletion; ended: string[] }> {
  checkRole(by, row.role as Role);
  if (by.owner === row.id)
    throw new PermissionDeniedError("Nobody deletes themselves: ask another admin.");
  if (dryRun) {
    await keepASuperadmin(rooms.database.unscoped, row.id, null);
    return { deletion: await count(rooms.database.unscoped, row.id, true), ended: [] };
  }
  let ended: string[] = [];
  const deletion = await rooms.database.write(async (handle) => {
    const { tables, answer } = handle;
    await keepASuperadmin(tables, row.id, null);
    const counts = await count(tables, row.id, false);
    ended = await rooms.endSessions(handle, row.id);
    await tables
      .updateTable("api_keys")
      .set({ revoked_at: Date.now() })
      .where("owner", "=", row.id)
      .where("revoked_at", "is", null)
      .execute();
    await tables.deleteFrom("grants").where("principal_id", "=", row.id).execute();
    const { numDeletedRows } = await tables
      .deleteFrom("users")
      .where("id", "=", row.id)
      .where("role", "=", row.role)
      .executeTakeFirst();
    if (numDeletedRows === 0n)
      throw new ConflictError(`User ${row.name} was changed or deleted meanwhile.`);
    return answer(counts);
  });
  return { deletion, ended };
}

async function count(
  tables: WriteHandle["tables"],
  user: string,
  dryRun: boolean,
): Promise<UserDeletion> {
  const counted = async (query: { executeTakeFirstOrThrow(): Promise<{ count: number }> }) =>
    (await query.executeTakeFirstOrThrow()).count;
  const grants = await counted(
    tables
      .selectFrom("grants")
      .select((is) => is.fn.countAll<number>().as("count"))
      .where("principal_id", "=", user),
  );
  const keys = await counted(
    tables
      .selectFrom("api_keys")
      .select((is) => is.fn.countAll<number>().as("count"))
      .where("owner", "=", user)
      .where("revoked_at", "is", null),
  );
  const ownerless = await counted(
    tables
      .selectFrom("grants as mine")
      .select((is) => is.fn.countAll<number>().as("count"))
      .where("mine.principal_id", "=", user)
      .where("mine.level", "=", "owner")
      .where((is) =>
        is.not(
          is.exists(
            is
              .selectFrom("grants as other")
              .select("other.principal_id")
              .whereRef("other.collection_id", "=", "mine.collection_id")
              .where("other.level", "=", "owner")
              .where("other.principal_id", "!=", user),
          ),
        ),
      ),
  );
  return {
    deleted: { users: 1, grants, keys },
    dependents: [{ type: "collections without another owner", count: ownerless }],
    dryRun,
    undo: null,
  };
}
