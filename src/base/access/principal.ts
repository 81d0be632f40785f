/** Roles from highest to lowest; each includes those after it. */
export const roles = ["superadmin", "admin", "developer", "api_user", "read_only"] as const;
export type Role = (typeof roles)[number];

/** Who calls. `local` is the owner of the machine's data directory; a key is a principal of its own. */
export type Principal = {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly kind: "local" | "key";
};

/** The principal that a start creates: whoever can read the data directory. */
export const localPrincipal: Principal = {
  id: "local",
  name: "local",
  role: "superadmin",
  kind: "local",
};

/** Whether `role` includes `needed`. */
export function roleIncludes(role: Role, needed: Role): boolean {
  return roles.indexOf(role) <= roles.indexOf(needed);
}
