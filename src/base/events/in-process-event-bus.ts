import type { ChannelEvent, EventBus } from "./event-bus.ts";

/** The event bus of one process. */
export function createEventBus(): EventBus {
  const listeners = new Map<string, Set<(event: ChannelEvent) => void>>();
  const lastEvents = new Map<string, ChannelEvent>();
  const sequences = new Map<string, number>();
  return {
    publish: (channel, event, data) => {
      const sequence = (sequences.get(channel) ?? 0) + 1;
      sequences.set(channel, sequence);
      const message = { channel, event, sequence, time: Date.now(), data };
      lastEvents.set(channel, message);
      // Those who subscribe meanwhile begin with the next event.
      const current = Array.from(listeners.get(channel) ?? []);
      for (const listener of current) listener(message);
      return message;
    },
    subscribe: (channel, listener) => {
      const subscribed = listeners.get(channel) ?? new Set();
      subscribed.add(listener);
      listeners.set(channel, subscribed);
      return () => {
        subscribed.delete(listener);
        if (subscribed.size === 0) listeners.delete(channel);
      };
    },
    last: (channel) => lastEvents.get(channel),
    continueAt: (channel, sequence) => {
      sequences.set(channel, Math.max(sequence, sequences.get(channel) ?? 0));
    },
    forget: (channel) => {
      lastEvents.delete(channel);
      sequences.delete(channel);
    },
  };
}
