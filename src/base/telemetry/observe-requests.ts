import type { Logger } from "./create-logger.ts";
import type { Metrics } from "./create-metrics.ts";
import { httpMethods } from "./metric-names.ts";
import type { Span, Traces } from "./open-traces.ts";
import { parseTraceParent } from "./trace-parent.ts";
import { type WorkContext, withoutContext } from "./work-context.ts";

/** What is known of a request when its headers have come. */
export type BegunRequest = {
  readonly requestId: string;
  readonly method: string;
  /** The header `traceparent` as it came. */
  readonly traceParent: string | undefined;
};

/** How a request ended. */
export type RequestEnd = {
  /** The route's pattern, never the address. */
  readonly route: string;
  /** 499 where the client went away before there was an answer. */
  readonly status: number;
  readonly milliseconds: number;
  /** Where the request came from, where that is to be logged. */
  readonly address?: string | undefined;
  /** It lasted as long as the client liked, as an event stream does: its time is no latency. */
  readonly endless?: boolean;
};

/** One request in its course: log lines, ledger entries and spans made inside `run` belong to it. */
export type RequestCourse = {
  /** Runs `work`, and everything that it starts, in the request's course. */
  run<T>(work: () => T): T;
  /** Who calls is known from now on. */
  identified(principal: string): void;
  /** Counts and logs the request and ends its span. Call it once, when nothing more will be sent. */
  end(how: RequestEnd): void;
};

export type ObserveRequest = (begun: BegunRequest) => RequestCourse;

/** What a door calls for each request: one log line, the counters, and a span where traces are configured. */
export function createRequestObserver(telemetry: {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly traces: Traces;
}): ObserveRequest {
  const { logger, metrics, traces } = telemetry;
  return ({ requestId, method, traceParent }) => {
    const known = (httpMethods as readonly string[]).includes(method) ? method : "other";
    const parent = parseTraceParent(traceParent);
    const span = traces.begin({ name: known, kind: "server", parent });
    const traceId = span?.traceId ?? parent?.traceId;
    const context: WorkContext & { principal?: string } = {
      requestId,
      ...(traceId === undefined ? {} : { traceId }),
      ...(span === null ? {} : { span }),
    };
    // In the course of this request alone: requests of one connection follow each other.
    const run = <T>(work: () => T): T => withoutContext(work, context);
    return {
      run,
      identified: (principal) => void (context.principal = principal),
      end: (how) => {
        const { route, status, milliseconds, address, endless = false } = how;
        metrics.request({ method, route, status, milliseconds: endless ? null : milliseconds });
        endSpan(span, known, how);
        const ms = Math.round(milliseconds * 10) / 10;
        run(() =>
          logger.info({ method, route, status, ms, ...(address ? { address } : {}) }, "request"),
        );
      },
    };
  };
}

/** Names and attributes of OpenTelemetry's conventions for HTTP servers; neither address nor query string is among them. */
function endSpan(span: Span | null, method: string, { route, status }: RequestEnd): void {
  if (span === null) return;
  span.rename(`${method} ${route}`);
  span.set({
    "http.request.method": method,
    "http.route": route,
    "http.response.status_code": status,
  });
  if (status >= 500) span.fail(String(status));
  span.end();
}
