export { createEventBus } from "./event-bus.ts";
export type { ChannelEvent, EventBus } from "./event-bus.ts";
