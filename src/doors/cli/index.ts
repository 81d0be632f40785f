export type { CliCommand } from "./command.ts";
export { buildCommands, commandsByHand } from "./commands.ts";
export { exitCodes } from "./exit-codes.ts";
export type { Parameter } from "./parameters.ts";
export { renderCliReference } from "./commands.ts";
