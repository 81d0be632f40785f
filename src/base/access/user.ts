import type { Database, OpenTables } from "#base/database/index.ts";
import type { Principal, Role } from "./principal.ts";

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
  return {
    id,
    name,
    role: row.role as Role,
    kind: "user",
    owner: id,
    account: id,
    limited: false,
    session,
  };
}

export function toUser(row: UserRow): User {
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
