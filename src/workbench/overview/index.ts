export { createOverview } from "./create-overview.ts";
export type { Health, Overview } from "./create-overview.ts";
