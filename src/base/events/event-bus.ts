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
