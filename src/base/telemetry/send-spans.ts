import { setTimeout as wait } from "node:timers/promises";
import { redactText, toCandorError } from "#base/errors/index.ts";
import type { LabelsOf } from "./metric-names.ts";
import { withoutContext } from "./work-context.ts";

/** Posts one body to the collector: any status is an answer, what cannot be reached raises. Once `signal` says so it ends at once. */
export type SendSpans = (
  body: Uint8Array,
  signal: AbortSignal,
) => Promise<{
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}>;

export type SpanOutcome = LabelsOf<"candor_spans_total">["outcome"];

type SenderOptions<Item> = {
  readonly send: SendSpans;
  readonly serialize: (items: readonly Item[]) => Uint8Array;
  readonly count: (outcome: SpanOutcome, by: number) => void;
  readonly warn: (fields: Record<string, unknown>, message: string) => void;
  readonly times?: Partial<SenderTimes>;
};

/** Milliseconds. */
export type SenderTimes = {
  /** How long a span waits for others to go with it. */
  readonly gather: number;
  /** First pause before another try, doubled each time. */
  readonly pause: number;
  /** Longest pause, whatever the collector asks for. */
  readonly longestPause: number;
  /** Between two warnings. */
  readonly warnEvery: number;
  /** What the end of the program may wait. */
  readonly close: number;
};

const standardTimes: SenderTimes = {
  gather: 5_000,
  pause: 1_000,
  longestPause: 30_000,
  warnEvery: 60_000,
  close: 2_000,
};

/** Most spans that wait (about 2 KB each), and most in one message. */
export const mostWaiting = 2_048;
const mostTogether = 512;

/** How often one message is tried in all. */
const tries = 3;

/** Answers after which the OTLP specification lets a client try again. */
const passing: ReadonlySet<number> = new Set([429, 502, 503, 504]);

type Verdict = {
  readonly outcome: SpanOutcome;
  /** How many the collector turned away of those that it took. */
  readonly rejected?: number;
  readonly reason?: string;
  readonly again?: boolean;
  readonly retryAfterMs?: number;
};

type Sender<Item> = {
  readonly options: SenderOptions<Item>;
  readonly times: SenderTimes;
  /** The program ends: nothing is tried again. */
  readonly closing: AbortController;
  /** No time is left: what is on its way is given up. */
  readonly ending: AbortController;
  readonly drops: ReturnType<typeof createDropReport>;
  waiting: Item[];
  timer: NodeJS.Timeout | null;
  running: Promise<void> | null;
  closed: Promise<void> | null;
};

/**
 * Sends items in the background, one message at a time. `add` never waits, never throws and keeps no more than `mostWaiting`: what
 * does not fit or cannot be delivered is dropped, counted by its reason, and said in the log at most once a minute.
 */
export function createSpanSender<Item>(options: SenderOptions<Item>) {
  const times = { ...standardTimes, ...options.times };
  const sender: Sender<Item> = {
    options,
    times,
    closing: new AbortController(),
    ending: new AbortController(),
    drops: createDropReport(options, times.warnEvery),
    waiting: [],
    timer: null,
    running: null,
    closed: null,
  };
  return {
    add: (item: Item): void => add(sender, item),
    waiting: () => sender.waiting.length,
    close: (): Promise<void> => (sender.closed ??= finish(sender)),
  };
}

function add<Item>(sender: Sender<Item>, item: Item): void {
  const { waiting, drops } = sender;
  if (sender.closed !== null) drops.add("ending", 1, "the program is ending");
  else if (waiting.length >= mostWaiting)
    drops.add("queue_full", 1, `${mostWaiting} spans are waiting`);
  else {
    waiting.push(item);
    if (waiting.length >= mostTogether) start(sender, false);
    else if (sender.running === null) schedule(sender);
  }
}

function schedule<Item>(sender: Sender<Item>): void {
  const due = () => start(sender, false);
  sender.timer ??= withoutContext(() => setTimeout(due, sender.times.gather).unref());
}

function start<Item>(sender: Sender<Item>, all: boolean): void {
  if (sender.waiting.length === 0 || sender.ending.signal.aborted) return;
  if (sender.timer !== null) clearTimeout(sender.timer);
  sender.timer = null;
  sender.running ??= withoutContext(() => drain(sender, all));
}

/** Sends the first message and then as many as are full, or with `all` every one. */
async function drain<Item>(sender: Sender<Item>, all: boolean): Promise<void> {
  const { signal } = sender.ending;
  do {
    const items = sender.waiting.slice(0, mostTogether);
    sender.waiting = sender.waiting.slice(items.length);
    await deliver(sender, items);
  } while (!signal.aborted && sender.waiting.length >= (all ? 1 : mostTogether));
  sender.running = null;
  if (sender.waiting.length > 0 && !signal.aborted) schedule(sender);
}

async function deliver<Item>(sender: Sender<Item>, items: readonly Item[]): Promise<void> {
  const { options, drops } = sender;
  const verdict = await deliverBody(sender, items);
  if (verdict.outcome !== "sent") return drops.add(verdict.outcome, items.length, verdict.reason);
  const { rejected = 0 } = verdict;
  if (rejected < items.length) options.count("sent", items.length - rejected);
  if (rejected > 0) drops.add("rejected", rejected, verdict.reason);
}

/** Sends what waits as long as there is time, then gives up the rest. */
async function finish<Item>(sender: Sender<Item>): Promise<void> {
  sender.closing.abort();
  const late = Promise.withResolvers<void>();
  const bound = setTimeout(late.resolve, sender.times.close);
  const sendRest = async (): Promise<void> => {
    await sender.running;
    start(sender, true);
    await sender.running;
  };
  await Promise.race([sendRest(), late.promise]);
  clearTimeout(bound);
  sender.ending.abort();
  await sender.running;
  if (sender.timer !== null) clearTimeout(sender.timer);
  if (sender.waiting.length > 0)
    sender.drops.add("ending", sender.waiting.length, "the program ended");
  sender.waiting = [];
  sender.drops.close();
}

async function deliverBody<Item>(
  { options: { send, serialize }, times, ending: { signal }, closing }: Sender<Item>,
  items: readonly Item[],
): Promise<Verdict> {
  for (let attempt = 1; ; attempt += 1) {
    const verdict = await attemptOnce(() => send(serialize(items), signal), items.length);
    if (signal.aborted && verdict.outcome !== "sent")
      return { outcome: "ending", reason: "the program ended" };
    if (verdict.again !== true || attempt >= tries || closing.signal.aborted) return verdict;
    const asked = Math.max(verdict.retryAfterMs ?? 0, times.pause * 2 ** (attempt - 1));
    const pause = Math.min(times.longestPause, asked * (1 + Math.random() / 2));
    // The end of the program ends the pause; then one last try is made.
    await Promise.allSettled([wait(pause, undefined, { ref: false, signal: closing.signal })]);
  }
}

async function attemptOnce(post: () => ReturnType<SendSpans>, count: number): Promise<Verdict> {
  try {
    return judge(await post(), count);
  } catch (thrown) {
    const { code, message, retryable } = toCandorError(thrown);
    const outcome = retryable ? "unreachable" : "refused";
    return { outcome, again: retryable, reason: `${code}: ${message}` };
  }
}

/** What the collector's answer says (OTLP specification, "OTLP/HTTP response"). One that is no answer of a collector confirms nothing. */
function judge({ status, headers, text }: Awaited<ReturnType<SendSpans>>, count: number): Verdict {
  if (passing.has(status)) {
    const seconds = Number(headers["retry-after"]);
    return {
      outcome: "unreachable",
      again: true,
      reason: `the collector answered ${status}`,
      ...(seconds > 0 ? { retryAfterMs: seconds * 1000 } : {}),
    };
  }
  if (status < 200 || status > 299)
    return { outcome: "refused", reason: `the collector answered ${status}` };
  const rejected = rejectedIn(text);
  if (rejected === null || rejected > count)
    return {
      outcome: "unconfirmed",
      reason: `the answer with status ${status} is not that of a collector`,
    };
  return { outcome: "sent", rejected, reason: "the collector turned spans away" };
}

/** How many spans an answer says were rejected; null when it is no answer to a trace. */
function rejectedIn(text: string): number | null {
  if (text.trim() === "") return 0;
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (thrown) {
    if (thrown instanceof SyntaxError) answer = null;
    else throw thrown;
  }
  if (typeof answer !== "object" || answer === null || Array.isArray(answer)) return null;
  const partial: unknown = "partialSuccess" in answer ? answer.partialSuccess : {};
  if (typeof partial !== "object" || partial === null) return null;
  // JSON for protobuf writes 64-bit numbers as texts.
  const given: unknown = "rejectedSpans" in partial ? partial.rejectedSpans : 0;
  const rejected = typeof given === "string" && /^\d{1,15}$/.test(given) ? Number(given) : given;
  return typeof rejected === "number" && Number.isSafeInteger(rejected) && rejected >= 0
    ? rejected
    : null;
}

/** Counts what is dropped and says it: the first at once, what follows together, once a minute. */
function createDropReport<Item>({ count, warn }: SenderOptions<Item>, everyMs: number) {
  let unsaid: Partial<Record<SpanOutcome, number>> = {};
  let lastReason = "";
  let quiet: NodeJS.Timeout | null = null;
  let over = false;
  const say = () => {
    if (Object.keys(unsaid).length === 0) return;
    warn(
      { dropped: unsaid, reason: redactText(lastReason) },
      "spans were dropped, so traces are incomplete; see telemetry.endpoint",
    );
    unsaid = {};
  };
  const tick = () => {
    quiet = null;
    if (Object.keys(unsaid).length > 0) sayNow();
  };
  const sayNow = () => {
    say();
    quiet = withoutContext(() => setTimeout(tick, everyMs).unref());
  };
  return {
    add: (outcome: SpanOutcome, by: number, reason = "") => {
      count(outcome, by);
      unsaid[outcome] = (unsaid[outcome] ?? 0) + by;
      lastReason = reason;
      if (quiet === null && !over) withoutContext(sayNow);
    },
    close: () => {
      if (quiet !== null) clearTimeout(quiet);
      over = true;
      withoutContext(say);
    },
  };
}
