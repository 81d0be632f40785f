export { createAccess } from "./access.ts";
export type { Access, Permission } from "./access.ts";
export type { Target } from "./explain.ts";
export { localPrincipal, roleIncludes, roles } from "./principal.ts";
export type { Principal, Role } from "./principal.ts";
