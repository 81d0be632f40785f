export { createOverview } from "./create-overview.ts";
export type { Health, Overview } from "./create-overview.ts";
export { cleanupKinds } from "./clean-storage.ts";
export { activityKinds } from "./list-activity.ts";
