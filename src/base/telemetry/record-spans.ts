import {
  type Context,
  ROOT_CONTEXT,
  type Span as RawSpan,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import { JsonTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  ParentBasedSampler,
  type ReadableSpan,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { isSecretName, redacted, redactText } from "#base/errors/index.ts";
import type { Span, SpanAttributes, SpanStart, TraceOptions, Traces } from "./open-traces.ts";
import { createSpanSender } from "./send-spans.ts";
import type { TraceParent } from "./trace-parent.ts";

/** Most characters of one attribute, and most attributes of one span; ours have a tenth of both. */
const limits = { attributeValueLengthLimit: 256, attributeCountLimit: 32, linkCountLimit: 4 };

/** Where ended spans go: a started one is known to nobody. */
type Sender = { add(span: ReadableSpan): void };

/** Makes spans with OpenTelemetry's SDK and hands them to the sender. Every setting is given: nothing is taken from the environment. */
export function recordSpans(options: TraceOptions): Traces {
  const { serviceName, version, samplePercent, send, metrics, logger } = options;
  const sender = createSpanSender<ReadableSpan>({
    send,
    serialize: (spans) => JsonTraceSerializer.serializeRequest([...spans]) ?? new Uint8Array(),
    count: (outcome, by) => metrics.count("candor_spans_total", { outcome }, by),
    warn: (fields, message) => logger.warn(fields, message),
  });
  const provider = openProvider({ serviceName, version, samplePercent }, sender);
  const tracer = provider.getTracer("candor", version);
  const begin = (start: SpanStart, context: Context, link?: Span): Span => {
    const raw = tracer.startSpan(
      redactText(start.name),
      {
        kind: start.kind === "server" ? SpanKind.SERVER : SpanKind.INTERNAL,
        attributes: clean(start.attributes ?? {}),
        links: link === undefined ? [] : [{ context: toSpanContext({ ...link, sampled: true }) }],
      },
      context,
    );
    return toSpan(raw, (part) => begin(part, trace.setSpan(ROOT_CONTEXT, raw)));
  };
  return {
    on: true,
    begin: ({ parent, link, ...start }) => {
      if (!parent) return begin(start, ROOT_CONTEXT, link);
      const remote = { ...toSpanContext(parent), isRemote: true };
      return begin(start, trace.setSpanContext(ROOT_CONTEXT, remote), link);
    },
    waiting: sender.waiting,
    close: sender.close,
  };
}

function openProvider(
  about: { serviceName: string; version: string; samplePercent: number },
  sender: Sender,
): TracerProvider {
  return new TracerProvider({
    resource: resourceFromAttributes({
      "service.name": redactText(about.serviceName),
      "service.version": about.version,
    }),
    sampler: new ParentBasedSampler({
      root: new TraceIdRatioBasedSampler(about.samplePercent / 100),
    }),
    spanLimits: limits,
    spanProcessors: [
      {
        onStart: () => undefined,
        onEnd: (span) => {
          if ((span.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0) sender.add(span);
        },
        forceFlush: () => Promise.resolve(),
        shutdown: () => Promise.resolve(),
      },
    ],
  });
}

function toSpan(raw: RawSpan, begin: Span["begin"]): Span {
  const { traceId, spanId } = raw.spanContext();
  return {
    traceId,
    spanId,
    begin,
    set: (attributes) => void raw.setAttributes(clean(attributes)),
    rename: (name) => void raw.updateName(redactText(name)),
    fail: (code) => {
      raw.setAttribute("error.type", redactText(code));
      raw.setStatus({ code: SpanStatusCode.ERROR });
    },
    end: () => {
      if (raw.isRecording()) raw.end();
    },
  };
}

function toSpanContext({ traceId, spanId, sampled }: TraceParent) {
  return { traceId, spanId, traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE };
}

/** Attributes without anything that is or looks like a secret. */
function clean(attributes: SpanAttributes): SpanAttributes {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [
      redactText(name),
      isSecretName(name) ? redacted : typeof value === "string" ? redactText(value) : value,
    ]),
  );
}
