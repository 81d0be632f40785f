export interface Verdict {
  allowed: boolean;
  remaining: number;
  retryInMs: number;
}

/** Counts the calls of each client within the last `windowMs` milliseconds. */
export class SlidingWindowLimiter {
  private readonly calls = new Map<string, number[]>();

  constructor(
    private readonly limit: number,
    private readonly windowMs: number,
  ) {}

  check(client: string, now = Date.now()): Verdict {
    const times = this.dropOld(this.calls.get(client) ?? [], now);
    if (times.length >= this.limit) {
      this.calls.set(client, times);
      const oldest = times[0]!;
      return { allowed: false, remaining: 0, retryInMs: oldest + this.windowMs - now };
    }
    times.push(now);
    this.calls.set(client, times);
    return { allowed: true, remaining: this.limit - times.length, retryInMs: 0 };
  }

  private dropOld(times: number[], now: number): number[] {
    const start = now - this.windowMs;
    let i = 0;
    while (i < times.length && times[i]! <= start) i++;
    return i === 0 ? times : times.slice(i);
  }

  forgetIdle(now = Date.now()): void {
    for (const [client, times] of this.calls) {
      if (this.dropOld(times, now).length === 0) this.calls.delete(client);
    }
  }
}
