export type Transitions<S extends string, E extends string> = Record<S, Partial<Record<E, S>>>;

export class IllegalTransition extends Error {
  constructor(
    readonly state: string,
    readonly event: string,
  ) {
    super(`"${event}" is not possible in state "${state}"`);
  }
}

export class StateMachine<S extends string, E extends string> {
  private readonly history: S[] = [];

  constructor(
    private readonly table: Transitions<S, E>,
    private current: S,
    private readonly onEnter: (state: S, from: S) => void = () => {},
  ) {}

  get state(): S {
    return this.current;
  }

  can(event: E): boolean {
    return this.table[this.current][event] !== undefined;
  }

  send(event: E): S {
    const next = this.table[this.current][event];
    if (next === undefined) throw new IllegalTransition(this.current, event);
    const from = this.current;
    this.history.push(from);
    this.current = next;
    this.onEnter(next, from);
    return next;
  }

  undo(): S {
    const before = this.history.pop();
    if (before !== undefined) this.current = before;
    return this.current;
  }
}

/** Example: the life of an order. */
export const orderTable: Transitions<'new' | 'paid' | 'sent' | 'cancelled', 'pay' | 'ship' | 'cancel'> = {
  new: { pay: 'paid', cancel: 'cancelled' },
  paid: { ship: 'sent', cancel: 'cancelled' },
  sent: {},
  cancelled: {},
};
