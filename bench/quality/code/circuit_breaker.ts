type State = 'closed' | 'open' | 'half-open';

export class BreakerOpenError extends Error {}

/**
 * Stops calling a dependency that keeps failing and lets a single
 * trial call through after a cool-down.
 */
export class CircuitBreaker {
  private state: State = 'closed';
  private failures = 0;
  private openedAt = 0;

  constructor(
    private readonly threshold: number,
    private readonly coolDownMs: number,
    private readonly now: () => number = Date.now,
  ) {}

  async call<T>(action: () => Promise<T>): Promise<T> {
    if (!this.allow()) throw new BreakerOpenError('dependency is resting');
    try {
      const result = await action();
      this.onSuccess();
      return result;
    } catch (error) {
      this.onFailure();
      throw error;
    }
  }

  private allow(): boolean {
    if (this.state !== 'open') return this.state === 'closed';
    if (this.now() - this.openedAt < this.coolDownMs) return false;
    this.state = 'half-open';
    return true;
  }

  private onSuccess(): void {
    this.failures = 0;
    this.state = 'closed';
  }

  private onFailure(): void {
    this.failures++;
    if (this.state === 'half-open' || this.failures >= this.threshold) {
      this.state = 'open';
      this.openedAt = this.now();
    }
  }
}
