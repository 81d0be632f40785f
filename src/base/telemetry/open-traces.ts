import type { Logger } from "./create-logger.ts";
import type { Metrics } from "./create-metrics.ts";
import type { SendSpans } from "./send-spans.ts";
import type { TraceParent } from "./trace-parent.ts";
import { currentContext, withContext } from "./work-context.ts";

/** Facts of a span, from closed sets and numbers: no text of a caller belongs here. Secrets are removed all the same. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export type SpanStart = {
  readonly name: string;
  /** `server`: it answers somebody outside; else it is a part of other work. */
  readonly kind?: "server" | "internal";
  readonly attributes?: SpanAttributes;
};

/** A piece of work in a trace, from `begin` to `end`. None of its calls throws. */
export type Span = {
  readonly traceId: string;
  readonly spanId: string;
  /** Begins a part of this one. */
  begin(start: SpanStart): Span;
  set(attributes: SpanAttributes): void;
  rename(name: string): void;
  /** Marks it failed with the error's code. */
  fail(code: string): void;
  /** Hands it over to be sent. A second call does nothing. */
  end(): void;
};

export type Traces = {
  /** Whether spans are made at all. */
  readonly on: boolean;
  /**
   * Begins a trace, or goes on with a caller's; null when no traces are configured. `link` is a span that caused it without being
   * its parent: a job outlives the request that started it.
   */
  begin(
    start: SpanStart & { readonly parent?: TraceParent | null; readonly link?: Span | undefined },
  ): Span | null;
  /** Spans that wait to be sent. */
  waiting(): number;
  /** Sends what waits, for two seconds at most; what is left is dropped and counted. */
  close(): Promise<void>;
};

export type TraceOptions = {
  readonly serviceName: string;
  readonly version: string;
  readonly samplePercent: number;
  /** Posts OTLP in JSON to the collector. Bound to its address and credentials. */
  readonly send: SendSpans;
  readonly metrics: Metrics;
  readonly logger: Logger;
};

/** No traces: nothing is loaded, and every call is next to free. */
export const noTraces: Traces = {
  on: false,
  begin: () => null,
  waiting: () => 0,
  close: () => Promise.resolve(),
};

/** Traces when they are configured. OpenTelemetry costs a tenth of a second and 24 MB: it is loaded here and only then. */
export async function openTraces(options: TraceOptions | null): Promise<Traces> {
  if (options === null) return noTraces;
  const { recordSpans } = await import("./record-spans.ts");
  return recordSpans(options);
}

/**
 * Runs `work` as a part of the span that is open around it; without one, `work` just runs. It is marked failed when `work` raises
 * something, with its code.
 */
export async function inSpan<T>(
  start: SpanStart,
  work: (span: Span | null) => Promise<T>,
): Promise<T> {
  const span = currentContext().span?.begin(start) ?? null;
  if (span === null) return work(null);
  try {
    return await withContext({ span }, () => work(span));
  } catch (thrown) {
    span.fail(codeOf(thrown));
    throw thrown;
  } finally {
    span.end();
  }
}

function codeOf(thrown: unknown): string {
  const code = typeof thrown === "object" && thrown !== null && "code" in thrown ? thrown.code : "";
  return typeof code === "string" && /^[a-z_]{1,60}$/.test(code) ? code : "defect";
}
