export type { ChannelEvent, EventBus } from "./event-bus.ts";
export { createEventBus } from "./in-process-event-bus.ts";
