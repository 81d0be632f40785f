import type { EventBus } from "#base/events/index.ts";
import { endedStates, type Job, type JobItem } from "./job.ts";

/** One event of a job: its whole state, or the outcome of one item. */
export type JobEvent = {
  readonly event: string;
  readonly sequence: number;
  readonly data: { job: Job } | { item: string; outcome: JobItem["outcome"]; ledgerId?: string };
};

export type Follow = {
  readonly id: string;
  readonly signal: AbortSignal;
  /** Sequence of the last event that the follower has: a state that is no newer is not told again. */
  readonly since?: number | undefined;
};

/**
 * The events of a job from now on, the state that `get` answers first; ends with the job or the signal. Items that ended
 * between `since` and now are in the state's counts and in the job's items, not told one by one.
 */
export async function* followJob(
  events: EventBus,
  get: () => Promise<Job>,
  { id, signal, since }: Follow,
): AsyncGenerator<JobEvent> {
  const arrived: JobEvent[] = [];
  let wake = () => {};
  const unsubscribe = events.subscribe(`jobs/${id}`, ({ event, sequence, data }) => {
    arrived.push({ event, sequence, data: data as JobEvent["data"] });
    wake();
  });
  const aborted = () => wake();
  signal.addEventListener("abort", aborted);
  try {
    const job = await get();
    const ended = endedStates.includes(job.state) || job.state === "interrupted";
    if (ended || job.sequence !== since)
      yield { event: ended ? "job.end" : "job.progress", sequence: job.sequence, data: { job } };
    if (ended) return;
    const seen = job.sequence;
    while (!signal.aborted) {
      const next = arrived.shift();
      if (next) {
        if (next.sequence <= seen && next.event !== "job.end") continue;
        yield next;
        if (next.event === "job.end") return;
      } else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    signal.removeEventListener("abort", aborted);
    unsubscribe();
  }
}
