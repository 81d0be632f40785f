import { type Database, newId, type OpenTables, type WriteHandle } from "#base/database/index.ts";
import {
  AlreadyExistsError,
  ConflictError,
  CredentialInvalidError,
  InputInvalidError,
  LastOwnerError,
  NotFoundError,
  PermissionDeniedError,
} from "#base/errors/index.ts";
import type { LockOut } from "./lock-out.ts";
import type { Passwords } from "./passwords.ts";
import { type Principal, type Role, roleIncludes, roles } from "./principal.ts";

export type UserRow = OpenTables["users"];

/** A user as every door shows it. */
export type User = {
  id: string;
  name: string;
  role: Role;
  disabled: boolean;
  /** Whether a password is set; without one nobody can sign in as this user. */
  password: boolean;
  createdAt: string;
  updatedAt: string;
  lastLoginAt: string | null;
};

export type UserChange = {
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
  readonly password?: string | undefined;
  readonly currentPassword?: string | undefined;
  readonly disabled?: boolean | undefined;
};

export type UserDeletion = {
  deleted: { users: number; grants: number; keys: number };
  /** What stays, and to whom it falls: collections that had no other owner are reached by admins. */
  dependents: { type: string; count: number }[];
  dryRun: boolean;
  undo: null;
};

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

type Rooms = {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly lockOut: LockOut;
  /** Ends every login and session of a user inside a transaction; returns their ids. */
  readonly endSessions: (handle: WriteHandle, user: string) => Promise<string[]>;
};

export function createUsers(rooms: Rooms, onChange: OnChange): Users {
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

/** The user of an id or a name; ids have capital letters and names have none. */
export async function findUser(database: Database, named: string): Promise<UserRow | undefined> {
  return database.read
    .selectFrom("users")
    .selectAll()
    .where((is) => is.or([is("id", "=", named), is("name", "=", named)]))
    .executeTakeFirst();
}

export function toPrincipal(row: UserRow, session: Principal["session"]): Principal {
  const { id, name } = row;
  return { id, name, role: row.role as Role, kind: "user", owner: id, limited: false, session };
}

async function createUser(
  { database, passwords }: Rooms,
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

async function updateUser(
  rooms: Rooms,
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
  { database }: Rooms,
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
  { passwords, lockOut }: Rooms,
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

async function deleteUser(
  rooms: Rooms,
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

/** The row of a user that `by` may see: its own, as an admin everyone's. */
async function reachable(database: Database, by: Principal, named: string): Promise<UserRow> {
  const row = await findUser(database, named);
  if (!row || !(roleIncludes(by.role, "admin") || by.owner === row.id))
    throw new NotFoundError(`There is no user "${named}".`);
  return row;
}

function checkRole(by: Principal, role: Role): void {
  if (!roleIncludes(by.role, role))
    throw new PermissionDeniedError(
      `A user of role ${role} is made and changed by that role or above; you are ${by.role}.`,
      { details: { valid: roles.filter((known) => roleIncludes(by.role, known)) } },
    );
}

/** Raises LastOwnerError when no enabled superadmin would be left among the users; `role` is what the user becomes, null: nobody. */
async function keepASuperadmin(
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

function nameTaken(thrown: unknown, name: string): unknown {
  if (!(thrown instanceof AlreadyExistsError)) return thrown;
  return new AlreadyExistsError(`There is a user "${name}" already.`, {
    cause: thrown,
    errors: [{ pointer: "/name", message: "is taken" }],
  });
}

function toUser(row: UserRow): User {
  return {
    id: row.id,
    name: row.name,
    role: row.role as Role,
    disabled: row.disabled === 1,
    password: row.password_hash !== null,
    createdAt: new Date(row.created_at).toISOString(),
    updatedAt: new Date(row.updated_at).toISOString(),
    lastLoginAt: row.last_login_at === null ? null : new Date(row.last_login_at).toISOString(),
  };
}
