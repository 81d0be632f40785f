export { createAccess } from "./access.ts";
export type { Access, Credentials, Permission } from "./access.ts";
export type { ApiKey } from "./api-keys.ts";
export { localPrincipal, roleIncludes, roles } from "./principal.ts";
export type { Principal, Role } from "./principal.ts";
