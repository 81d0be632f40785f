import { newId } from "#base/database/index.ts";
import { deleteUser, type UserDeletion } from "./delete-user.ts";
import type { Principal, Role } from "./principal.ts";
import { updateUser, type UserChange } from "./update-user.ts";
import { toUser, type User, type UserRow } from "./user.ts";
import { checkRole, nameTaken, reachable, type UserRooms } from "./user-rules.ts";

export type Users = {
  create(
    by: Principal,
    wanted: { name: string; role?: Role | undefined; password?: string | undefined },
  ): Promise<User>;
  list(page: { after?: string | undefined; limit: number }): Promise<User[]>;
  /**
   * Admins change all below and beside them; everybody else changes their own password, knowing the old one. `onUser` hears
   * who it is as soon as that is known, here and below.
   */
  update(by: Principal, named: string, change: UserChange, onUser: OnUser): Promise<User>;
  delete(by: Principal, named: string, dryRun: boolean, onUser: OnUser): Promise<UserDeletion>;
};

export type OnUser = (id: string) => void;

/** Tells those who listen that the rights of these principals were changed, or these sign-ins ended. */
export type OnChange = (affected: readonly string[]) => Promise<void>;

export function createUsers(rooms: UserRooms, onChange: OnChange): Users {
  return {
    create: (by, wanted) => createUser(rooms, by, wanted),
    list: async ({ after, limit }) => {
      let query = rooms.database.read.selectFrom("users").selectAll();
      if (after !== undefined) query = query.where("id", ">", after);
      return (await query.orderBy("id").limit(limit).execute()).map(toUser);
    },
    update: async (by, named, change, onUser) => {
      const row = await reachable(rooms.database, by, named);
      onUser(row.id);
      const { user, ended } = await updateUser(rooms, by, row, change);
      await onChange([row.id, ...ended]);
      return user;
    },
    delete: async (by, named, dryRun, onUser) => {
      const row = await reachable(rooms.database, by, named);
      onUser(row.id);
      const { deletion, ended } = await deleteUser(rooms, by, row, dryRun);
      if (!dryRun) await onChange([row.id, ...ended]);
      return deletion;
    },
  };
}

async function createUser(
  { database, passwords }: UserRooms,
  by: Principal,
  wanted: { name: string; role?: Role | undefined; password?: string | undefined },
): Promise<User> {
  const role = wanted.role ?? "read_only";
  checkRole(by, role);
  const { password } = wanted;
  if (password !== undefined) passwords.check(password, wanted.name);
  const now = Date.now();
  const row: UserRow = {
    id: newId("usr"),
    name: wanted.name,
    role,
    password_hash: password === undefined ? null : await passwords.hash(password),
    disabled: 0,
    created_at: now,
    updated_at: now,
    last_login_at: null,
  };
  try {
    return await database.write(async ({ tables, answer }) => {
      await tables.insertInto("users").values(row).execute();
      return answer(toUser(row));
    });
  } catch (thrown) {
    throw nameTaken(thrown, wanted.name);
  }
}
