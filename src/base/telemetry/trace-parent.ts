/** Where a request of another program stands in its trace. */
export type TraceParent = {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** The caller's span, 16 hexadecimal digits. */
  readonly spanId: string;
  readonly sampled: boolean;
};

/**
 * The header `traceparent` (W3C Trace Context, section 3.2), or null when it is absent or says nothing valid: a trace is begun anew
 * then, as the recommendation demands. Later versions may append parts, version 00 may not.
 */
export function parseTraceParent(header: string | undefined): TraceParent | null {
  const [, version = "", traceId = "", spanId = "", flags = "", more] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(header ?? "") ?? [];
  const valid =
    version !== "" &&
    version !== "ff" &&
    (version !== "00" || more === undefined) &&
    !/^0+$/.test(traceId) &&
    !/^0+$/.test(spanId);
  return valid ? { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 } : null;
}
