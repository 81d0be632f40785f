/** Roles from highest to lowest; each includes those after it. */
export const roles = ["superadmin", "admin", "developer", "api_user", "read_only"] as const;

export type Role = (typeof roles)[number];

/** Who calls: the owner of the machine's data directory, a user, or an API key that works for one of them. */
export type Principal = {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly kind: "local" | "user" | "key";
  /** Whose collections and jobs it works on: its own id; for a key that is not limited, the id of whom it works for. */
  readonly owner: string;
  /** Whom it belongs to: its own id, for every key the user or `local` who made it. */
  readonly account: string;
  /** A key that reaches only the collections it was given. */
  readonly limited: boolean;
  /** The sign-in by which it came, for signing out. */
  readonly session: { readonly kind: "login" | "cookie"; readonly id: string } | null;
};

/** The principal that a start creates: whoever can read the data directory. */
export const localPrincipal: Principal = {
  id: "local",
  name: "local",
  role: "superadmin",
  kind: "local",
  owner: "local",
  account: "local",
  limited: false,
  session: null,
};

/** Whether `role` includes `needed`. */
export function roleIncludes(role: Role, needed: Role): boolean {
  return roles.indexOf(role) <= roles.indexOf(needed);
}

/** The lower of two roles. */
export function lowerRole(one: Role, other: Role): Role {
  return roleIncludes(one, other) ? other : one;
}
