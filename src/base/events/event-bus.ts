/** One message on a channel; `sequence` grows by one per channel. */
export type ChannelEvent = {
  readonly channel: string;
  readonly event: string;
  readonly sequence: number;
  /** UTC milliseconds. */
  readonly time: number;
  readonly data: unknown;
};

/** Who tells whom: channels are named after what they tell of (`jobs/job_…`). */
export type EventBus = {
  /** Publishes to the channel's subscribers, in order. `sequence` continues where a stored count ended. */
  publish(channel: string, event: string, data: unknown): ChannelEvent;
  /** Calls `listener` for every later event until the returned function is called. A late one asks `last` for the state. */
  subscribe(channel: string, listener: (event: ChannelEvent) => void): () => void;
  last(channel: string): ChannelEvent | undefined;
  /** Starts the channel's count at `sequence`, for a channel whose earlier events are stored. */
  continueAt(channel: string, sequence: number): void;
  /** Forgets a channel's last event; its subscribers stay. */
  forget(channel: string): void;
};

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
