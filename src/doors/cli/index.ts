export { buildCommands, commandsByHand } from "./commands.ts";
export { renderCliReference } from "./commands.ts";
